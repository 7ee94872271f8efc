using Loom.Node.Gguf;

namespace Loom.Node.Demo;

/// <summary>
/// Writes the demo model. Its embeddings are one-hot, its only block adds zero, and its output matrix is the bigram table: a token selects a column, the column is
/// the distribution of the next token. All weights come from integer arithmetic, so the bytes are the same everywhere.
/// </summary>
public static class DemoModelWriter
{
    private const int Width = 1024; // a power of 4, so that the norm's factor below is exact
    private const int Narrow = 32; // inner width of the block that does nothing
    private const float Epsilon = 1e-9f;
    private const ushort HalfOne = 0x3C00;
    private const ushort HalfSixteenth = 0x2C00;

    /// <summary>Writes the model to <paramref name="path"/>; an existing file is replaced. Not atomic: write beside the target and rename.</summary>
    public static void Write(string path)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        Write(file);
    }

    /// <summary>Writes the model to <paramref name="output"/>, which need not seek.</summary>
    public static void Write(Stream output)
    {
        var text = DemoText.Bundled();
        var vocabulary = new DemoVocabulary(text.Words);
        if (vocabulary.ClassCount > Width)
        {
            throw new InvalidOperationException($"the demo text has {vocabulary.ClassCount} different words, more than the {Width} the model holds");
        }

        using var writer = new GgufWriter();
        AddMetadata(writer, vocabulary);
        AddTensors(writer, vocabulary, new BigramTable(text, vocabulary));
        writer.Write(output);
    }

    private static void AddMetadata(GgufWriter writer, DemoVocabulary vocabulary)
    {
        writer.Add("general.architecture", "llama");
        writer.Add("general.type", "model");
        writer.Add("general.name", "Loom demo");
        writer.Add("general.description", DemoModel.Description);
        writer.Add("general.license", "apache-2.0");
        writer.Add("general.file_type", 7u); // mostly Q8_0
        writer.Add("general.quantization_version", 2u);
        writer.Add("llama.context_length", (uint)DemoModel.ContextLength);
        writer.Add("llama.embedding_length", (uint)Width);
        writer.Add("llama.block_count", 1u);
        writer.Add("llama.feed_forward_length", (uint)Narrow);
        writer.Add("llama.attention.head_count", 1u);
        writer.Add("llama.attention.head_count_kv", 1u);
        writer.Add("llama.attention.key_length", (uint)Narrow);
        writer.Add("llama.attention.value_length", (uint)Narrow);
        writer.Add("llama.attention.layer_norm_rms_epsilon", Epsilon);
        writer.Add("llama.rope.dimension_count", (uint)Narrow);
        writer.Add("llama.vocab_size", (uint)vocabulary.Tokens.Count);
        writer.Add("llama.pooling_type", 1u); // mean: an embedding says which words a text has
        writer.Add("tokenizer.ggml.model", "gpt2");
        writer.Add("tokenizer.ggml.pre", "llama-bpe"); // looks a whole word up before it merges anything
        writer.Add("tokenizer.ggml.tokens", vocabulary.Tokens);
        writer.Add("tokenizer.ggml.token_type", vocabulary.TokenTypes());
        writer.Add("tokenizer.ggml.merges", Array.Empty<string>());
        writer.Add("tokenizer.ggml.bos_token_id", (uint)DemoVocabulary.Begin);
        writer.Add("tokenizer.ggml.eos_token_id", (uint)DemoVocabulary.End);
        writer.Add("tokenizer.ggml.add_bos_token", true);
        writer.Add("tokenizer.chat_template", DemoModel.ChatTemplate);
    }

    private static void AddTensors(GgufWriter writer, DemoVocabulary vocabulary, BigramTable table)
    {
        var tokens = vocabulary.Tokens.Count;
        writer.AddQ8("token_embd.weight", [Width, tokens], HalfOne, OneHot(vocabulary));
        // The norm makes a one-hot vector √1024 = 32 times as long; 1/32 undoes it.
        writer.AddF32("output_norm.weight", Filled(1f / 32));
        writer.AddQ8("output.weight", [Width, tokens], HalfSixteenth, Rows(table, tokens, vocabulary.ClassCount));
        writer.AddF32("blk.0.attn_norm.weight", Filled(1));
        writer.AddF32("blk.0.ffn_norm.weight", Filled(1));
        foreach (var (name, input, output) in new[]
        {
            ("attn_q", Width, Narrow), ("attn_k", Width, Narrow), ("attn_v", Width, Narrow), ("attn_output", Narrow, Width),
            ("ffn_gate", Width, Narrow), ("ffn_up", Width, Narrow), ("ffn_down", Narrow, Width),
        })
        {
            writer.AddQ8($"blk.0.{name}.weight", [input, output], HalfOne, new sbyte[input * output]);
        }
    }

    private static float[] Filled(float value)
    {
        var values = new float[Width];
        Array.Fill(values, value);
        return values;
    }

    private static sbyte[] OneHot(DemoVocabulary vocabulary)
    {
        var rows = new sbyte[vocabulary.Tokens.Count * Width];
        for (var token = 0; token < vocabulary.Tokens.Count; token++)
        {
            rows[(token * Width) + vocabulary.TokenClasses[token]] = 1;
        }

        return rows;
    }

    private static sbyte[] Rows(BigramTable table, int tokens, int classes)
    {
        var rows = new sbyte[tokens * Width];
        var column = new sbyte[tokens];
        for (var @class = 0; @class < classes; @class++)
        {
            table.Column(@class, column);
            for (var token = 0; token < tokens; token++)
            {
                rows[(token * Width) + @class] = column[token];
            }
        }

        return rows;
    }
}
