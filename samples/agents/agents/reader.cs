#:property PublishAot=false
// Asks the clock every two seconds. Loom starts it only when the clock is ready, so it needs no retry of its own.
using System.Runtime.InteropServices;

using var ended = new CancellationTokenSource();
using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
{
    signal.Cancel = true;
    ended.Cancel();
});
using var http = new HttpClient();
var url = Environment.GetEnvironmentVariable("CLOCK_URL")!;
try
{
    while (true)
    {
        Console.WriteLine($"the clock says {(await http.GetStringAsync(url, ended.Token)).Trim()}");
        await Task.Delay(TimeSpan.FromSeconds(2), ended.Token);
    }
}
catch (OperationCanceledException)
{
    Console.WriteLine("closing");
}
