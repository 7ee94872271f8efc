using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Tests.Reading;

/// <summary>Files a test names: read, and under <c>--update</c> written, only below the test file's folder or the system's, whatever links lead elsewhere.</summary>
/// <param name="files">The disk.</param>
/// <param name="folder">The test file's folder, absolute; paths are relative to it.</param>
/// <param name="system">The system's folder, absolute.</param>
/// <param name="findings">What is wrong is added here.</param>
internal sealed class TestPaths(ISystemFiles files, string folder, string system, FindingList findings)
{
    private readonly string?[] _roots = [files.Resolve(folder), files.Resolve(system)];

    /// <summary>The file, absolute; null after a finding.</summary>
    public string? Find(YamlScalar file, string what)
    {
        if (file.Text.Length == 0 || file.Text.Contains('\0', StringComparison.Ordinal))
        {
            findings.Error(Codes.TestData, file, $"{what}: the name of the file is empty or holds a NUL character");
            return null;
        }

        var path = Path.GetFullPath(Path.Combine(folder, file.Text));
        if (files.Resolve(path) is { } real && _roots.Any(r => r is not null && real != r && RealPath.IsBelow(real, r)))
        {
            return path;
        }

        findings.Error(Codes.TestData, file, $"{what}: {file.Text} lies outside of the test file's folder and the system's; files of a test lie below one of them, and so does what links lead to");
        return null;
    }
}
