using System.Collections.Immutable;

namespace Loom.Node.Gguf;

/// <summary>What the header of a GGUF model says about it.</summary>
public sealed record GgufModel
{
    /// <summary>For example <c>llama</c> or <c>qwen3</c>.</summary>
    public required string Architecture { get; init; }

    public string? Name { get; init; }

    public string? Description { get; init; }

    /// <summary>Tokens of context the model was made for; null where the file does not say.</summary>
    public int? ContextLength { get; init; }

    public int BlockCount { get; init; }

    public int EmbeddingLength { get; init; }

    /// <summary>Key and value elements one token keeps, over all blocks.</summary>
    public long KvElementsPerToken { get; init; }

    public int HeadCount { get; init; }

    /// <summary>Key-value heads of each block.</summary>
    public ImmutableArray<int> KvHeadCounts { get; init; } = [];

    /// <summary>Tokenizer family, for example <c>gpt2</c> or <c>llama</c>; null for a file without one.</summary>
    public string? TokenizerModel { get; init; }

    public int VocabularySize { get; init; }

    /// <summary>The model brings a chat template.</summary>
    public bool HasChatTemplate { get; init; }

    /// <summary>Files the model is split into; 1 for a whole one.</summary>
    public int SplitCount { get; init; } = 1;

    /// <summary>The most common type of the weights, for example <c>Q4_K</c>.</summary>
    public required string WeightType { get; init; }

    public long ParameterCount { get; init; }

    /// <summary>Bytes of all tensors in this file.</summary>
    public long WeightBytes { get; init; }

    public long FileBytes { get; init; }

    /// <summary>Bytes of a key-value cache in half precision. An upper bound: sliding windows and shared caches need less.</summary>
    /// <param name="contextLength">Tokens of one slot.</param>
    /// <param name="slots">Slots.</param>
    public long KvBytes(int contextLength, int slots) => checked(KvElementsPerToken * 2 * contextLength * slots);
}
