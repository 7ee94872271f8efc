using System.Security.Cryptography;
using Loom.Node.Demo;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Demo;

public sealed class DemoModelTests
{
    [Fact]
    public void Write_AnyPlatform_HasThePublishedDigestAndLength()
    {
        using var file = new MemoryStream();
        DemoModelWriter.Write(file);

        Convert.ToHexStringLower(SHA256.HashData(file.ToArray())).ShouldBe(DemoModel.Sha256);
        file.Length.ShouldBe(DemoModel.Bytes);
        file.Length.ShouldBeLessThanOrEqualTo(8 << 20);
    }
}
