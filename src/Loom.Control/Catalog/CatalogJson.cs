using System.Text.Json.Serialization;

namespace Loom.Control.Catalog;

[JsonSerializable(typeof(string))]
internal sealed partial class CatalogJson : JsonSerializerContext;
