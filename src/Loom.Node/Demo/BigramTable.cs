namespace Loom.Node.Demo;

/// <summary>
/// Which token follows which class, as logarithms in sixteenths. Counts of the text, smoothed with an eighth of the plain word frequencies, so that every word
/// stays possible and likely ones stay likely.
/// </summary>
internal sealed class BigramTable
{
    /// <summary>Entries are <c>16 × (ln p + 127/16)</c>: the shift puts probabilities from e^-15.9 to 1 into a signed byte and cancels in the softmax.</summary>
    public const int Unit = 16;

    private const int Bias = 127;
    private const ulong Smoothing = 8; // the plain frequencies weigh 1/8 of one observation
    private const int ParagraphEnd = 2; // weight of an end, so that an answer runs to about four sentences

    private readonly DemoVocabulary _vocabulary;
    private readonly uint[,] _pairs;
    private readonly ulong[] _classTotals;
    private readonly uint[] _words;
    private ulong _total;

    public BigramTable(DemoText text, DemoVocabulary vocabulary)
    {
        _vocabulary = vocabulary;
        _pairs = new uint[vocabulary.ClassCount, vocabulary.Tokens.Count];
        _classTotals = new ulong[vocabulary.ClassCount];
        _words = new uint[vocabulary.Tokens.Count];
        foreach (var paragraph in text.Paragraphs)
        {
            Count(paragraph);
        }
    }

    /// <summary>Fills one column: the row of every token that may follow <paramref name="class"/>.</summary>
    /// <param name="class">Class of the token before.</param>
    /// <param name="column">One entry a token.</param>
    public void Column(int @class, Span<sbyte> column)
    {
        var denominator = ((Smoothing * _classTotals[@class]) + 1) * _total;
        var logDenominator = FixedPointLog.Of(denominator);
        for (var token = 0; token < column.Length; token++)
        {
            var numerator = (Smoothing * _total * _pairs[@class, token]) + _words[token];
            column[token] = numerator == 0 ? (sbyte)-Bias : Quantize(FixedPointLog.Of(numerator) - logDenominator);
        }
    }

    private static sbyte Quantize(long logarithm)
    {
        const long Half = 1L << (FixedPointLog.FractionBits - 1);
        var units = ((logarithm * Unit) + Half) >> FixedPointLog.FractionBits;
        return (sbyte)Math.Clamp(units + Bias, -Bias, Bias);
    }

    private void Count(IReadOnlyList<string> paragraph)
    {
        var before = DemoVocabulary.UnknownClass;
        var sentenceBegins = true;
        foreach (var word in paragraph)
        {
            if (sentenceBegins)
            {
                Pair(DemoVocabulary.FreshClass, _vocabulary.IdAtStart(word), 1);
                Pair(DemoVocabulary.UnknownClass, _vocabulary.IdInText(word), 1);
            }

            var id = _vocabulary.IdInText(word);
            if (before != DemoVocabulary.UnknownClass)
            {
                Pair(before, id, 1);
            }

            _words[id]++;
            _total++;
            before = _vocabulary.ClassOf(word);
            sentenceBegins = word is "." or "?";
        }

        Pair(before, DemoVocabulary.End, ParagraphEnd);
    }

    private void Pair(int @class, int token, uint weight)
    {
        _pairs[@class, token] += weight;
        _classTotals[@class] += weight;
    }
}
