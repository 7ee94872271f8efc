namespace Loom.Node.Gguf;

/// <summary>A file is no GGUF model, is cut short, or asks for more than any model needs. The message names what was expected, what was found and where.</summary>
public sealed class GgufException(string message) : Exception(message);
