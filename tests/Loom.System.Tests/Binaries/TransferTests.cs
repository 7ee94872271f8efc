using System.Collections.Concurrent;
using Loom.Core.Binaries;
using Loom.Testing;
using Microsoft.AspNetCore.Http;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Binaries;

public sealed class TransferTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly HttpMessageInvoker _http = Transfer.CreateClient();
    private readonly byte[] _content = new byte[1_000_000];
    private readonly Notes _notes = new();
    private LyingServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        new Random(7).NextBytes(_content);
        _server = await LyingServer.StartAsync(_content);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _http.Dispose();
        _folder.Dispose();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_HonestServer_FileIsThereAndVerified()
    {
        var result = await FetchAsync();
        result.ShouldBe(new TransferResult(Checksum.Of(_content), _content.Length, true));
        await ShouldBeWholeAsync();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_ConnectionCutTwice_ResumesWhereItStopped()
    {
        _server.Cuts.Enqueue(300_000);
        _server.Cuts.Enqueue(200_000);
        await FetchAsync();
        await ShouldBeWholeAsync();
        _server.Requests.Count.ShouldBe(3);
        _server.Requests.Skip(1).ShouldAllBe(r => r.StartsWith("bytes="));
        _notes.ShouldContain(n => n.StartsWith("resumed at byte"));
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_FileChangedBetweenAttempts_StartsAnew()
    {
        _server.Cuts.Enqueue(300_000);
        _server.BeforeAnswer = count => _server.ETag = count == 1 ? "\"one\"" : "\"two\"";
        await FetchAsync();
        await ShouldBeWholeAsync();
        _notes.ShouldContain(n => n.Contains("has changed"));
    }

    [Theory(Timeout = 240_000)]
    [InlineData(false, "\"one\"")]
    [InlineData(true, null)]
    public async Task Fetch_ServerWithoutRangeOrETag_StartsAnew(bool ranges, string? etag)
    {
        (_server.Ranges, _server.ETag) = (ranges, etag);
        _server.Cuts.Enqueue(300_000);
        await FetchAsync();
        await ShouldBeWholeAsync();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_AfterAKilledProcess_NextCallResumes()
    {
        for (var i = 0; i < 5; i++)
        {
            _server.Cuts.Enqueue(100_000);
        }

        (await Should.ThrowAsync<TransferException>(FetchAsync())).Fault.ShouldBe(TransferFault.Unreachable);
        File.Exists(_folder["file.part"]).ShouldBeTrue();
        await FetchAsync();
        await ShouldBeWholeAsync();
        _server.Requests.Last().ShouldNotBe("");
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_StoppedWhileItIsChecked_NextCallOnlyChecks()
    {
        using var stop = new CancellationTokenSource();
        _notes.Verifying = stop.Cancel;
        await Should.ThrowAsync<OperationCanceledException>(FetchAsync(stop: stop.Token));
        File.Exists(_folder["file"]).ShouldBeFalse();

        _notes.Verifying = () => { };
        _server.Instead.Enqueue(context =>
        {
            context.Response.StatusCode = 416;
            context.Response.Headers.ContentRange = $"bytes */{_content.Length}";
            return Task.CompletedTask;
        });
        await FetchAsync();
        await ShouldBeWholeAsync();
        _server.Requests.ShouldBe(["", $"bytes={_content.Length}-"]);
    }

    [Theory(Timeout = 240_000)]
    [InlineData(404, 1, TransferFault.NotFound)]
    [InlineData(401, 1, TransferFault.NotFound)]
    [InlineData(429, 5, TransferFault.Unreachable)]
    [InlineData(503, 5, TransferFault.Unreachable)]
    public async Task Published_ServerRefuses_SaysWhyAndTriesAgainOnlyWhereThatHelps(int status, int requests, TransferFault fault)
    {
        for (var i = 0; i < requests; i++)
        {
            _server.Instead.Enqueue(Status(status));
        }

        var error = await Should.ThrowAsync<TransferException>(NewTransfer().PublishedSha256Async(new Uri(_server.Root, "file"), CancellationToken.None));
        error.Fault.ShouldBe(fault);
        error.Message.ShouldContain($"{status}");
        _server.Requests.Count.ShouldBe(requests);
    }

    [Fact(Timeout = 240_000)]
    public async Task Published_RenamedAndBusyForAMoment_IsFound()
    {
        _server.Instead.Enqueue(Status(503));
        _server.Instead.Enqueue(context =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = "/renamed";
            return Task.CompletedTask;
        });
        _server.Instead.Enqueue(context =>
        {
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = "/storage";
            context.Response.Headers["X-Linked-ETag"] = $"\"{new string('a', 64)}\"";
            return Task.CompletedTask;
        });
        (await NewTransfer().PublishedSha256Async(new Uri(_server.Root, "file"), CancellationToken.None)).ShouldBe(new string('a', 64));
        (await NewTransfer().PublishedSha256Async(new Uri(_server.Root, "file"), CancellationToken.None)).ShouldBeNull();
        _server.Requests.Count.ShouldBe(4);
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_WrongChecksum_RefusedAndNothingIsLeft()
    {
        var error = await Should.ThrowAsync<TransferException>(FetchAsync(r => r with { Sha256 = new string('0', 64) }));
        error.Fault.ShouldBe(TransferFault.Wrong);
        error.Message.ShouldContain(Checksum.Of(_content));
        Left().ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_NoChecksum_RefusedBeforeTheNetworkUnlessAllowed()
    {
        (await Should.ThrowAsync<TransferException>(FetchAsync(r => r with { Sha256 = null }))).Fault.ShouldBe(TransferFault.Refused);
        _server.Requests.ShouldBeEmpty();
        (await FetchAsync(r => r with { Sha256 = null, AllowUnverified = true })).Verified.ShouldBeFalse();
    }

    [Theory(Timeout = 240_000)]
    [InlineData("text/html")]
    [InlineData("application/octet-stream")]
    public async Task Fetch_WebPage_RefusedAndNothingIsLeft(string type)
    {
        _server.Instead.Enqueue(context =>
        {
            context.Response.ContentType = type;
            return context.Response.WriteAsync("\n<!DOCTYPE html><html>sign in</html>");
        });
        (await Should.ThrowAsync<TransferException>(FetchAsync())).Message.ShouldContain("web page");
        Left().ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_WrongSize_Refused()
    {
        (await Should.ThrowAsync<TransferException>(FetchAsync(r => r with { Bytes = 5 }))).Fault.ShouldBe(TransferFault.Wrong);
        Left().ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_ServerErrorOnce_TriesAgain()
    {
        _server.Instead.Enqueue(Status(503));
        await FetchAsync();
        await ShouldBeWholeAsync();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_NotFound_SaysSoAtOnce()
    {
        _server.Instead.Enqueue(Status(404));
        (await Should.ThrowAsync<TransferException>(FetchAsync())).Fault.ShouldBe(TransferFault.NotFound);
        _server.Requests.Count.ShouldBe(1);
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_Redirect_IsFollowed()
    {
        _server.Instead.Enqueue(context =>
        {
            context.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        });
        await FetchAsync();
        await ShouldBeWholeAsync();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_SilentServer_StallEndsTheAttempt()
    {
        _server.Instead.Enqueue(async context =>
        {
            context.Response.ContentLength = 10;
            await context.Response.Body.WriteAsync(new byte[3]);
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { });
        });
        await FetchAsync(stall: TimeSpan.FromSeconds(2));
        await ShouldBeWholeAsync();
        _notes.ShouldContain(n => n.Contains("no byte for 2 s"));
    }

    [Fact(Timeout = 240_000)]
    public async Task Fetch_DiskFull_SaysSoAndLeavesNothing()
    {
        var error = await Should.ThrowAsync<TransferException>(FetchAsync(disk: new FullDisk { Free = 1000 }));
        error.Fault.ShouldBe(TransferFault.DiskFull);
        error.Message.ShouldContain("1100000 are needed");
        (await Should.ThrowAsync<TransferException>(FetchAsync(disk: new FullDisk { Open = "/dev/full" }))).Fault.ShouldBe(TransferFault.DiskFull);
        Left().ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Lock_HeldByAnother_WaitsAndSaysWhoHoldsIt()
    {
        var first = await ArtifactLock.TakeAsync(_folder["a.lock"], _ => { }, TimeProvider.System, default);
        var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        var second = ArtifactLock.TakeAsync(_folder["a.lock"], told.SetResult, TimeProvider.System, default);
        (await told.Task).ShouldBe($"process {Environment.ProcessId}");
        second.IsCompleted.ShouldBeFalse();
        first.Dispose();
        (await second).Dispose();
    }

    [Fact(Timeout = 60_000)]
    public async Task Lock_CannotBeOpened_IsNotTakenForHeld()
    {
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
        socket.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(_folder["b.lock"])); // a file that is there and is none

        await Should.ThrowAsync<IOException>(ArtifactLock.TakeAsync(_folder["b.lock"], who => throw new InvalidOperationException($"it waits for {who}"), TimeProvider.System, default));
    }

    private static Func<HttpContext, Task> Status(int status) => context =>
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    };

    private Transfer NewTransfer(TimeSpan? stall = null, ITransferDisk? disk = null) => new(_http, disk ?? new TransferDisk(), TimeProvider.System, new Random(1))
    {
        FirstPause = TimeSpan.FromMilliseconds(5),
        Stall = stall ?? TimeSpan.FromSeconds(30),
    };

    private Task<TransferResult> FetchAsync(Func<TransferRequest, TransferRequest>? change = null, TimeSpan? stall = null, ITransferDisk? disk = null,
        CancellationToken stop = default)
    {
        var request = new TransferRequest(new Uri(_server.Root, "file"), _folder["file"]) { Sha256 = Checksum.Of(_content) };
        return NewTransfer(stall, disk).FetchAsync(change?.Invoke(request) ?? request, _notes, stop);
    }

    private async Task ShouldBeWholeAsync()
    {
        (await File.ReadAllBytesAsync(_folder["file"])).ShouldBe(_content);
        Left().ShouldBe(["file"]);
    }

    private string[] Left() => [.. Directory.GetFiles(_folder.Path).Select(f => Path.GetFileName(f))];

    private sealed class Notes : ConcurrentQueue<string>, IProgress<TransferProgress>
    {
        public Action Verifying { get; set; } = () => { };

        public void Report(TransferProgress value)
        {
            if (value.Phase == "verify")
            {
                Verifying();
            }

            if (value.Note is { } note)
            {
                Enqueue(note);
            }
        }
    }

    private sealed class FullDisk : ITransferDisk
    {
        private readonly TransferDisk _real = new();

        public long Free { get; init; } = long.MaxValue;

        public string? Open { get; init; }

        public long FreeBytes(string folder) => Free;

        FileStream ITransferDisk.Open(string path, bool append, UnixFileMode mode) => _real.Open(Open ?? path, append && Open is null, mode);
    }
}
