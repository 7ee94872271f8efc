namespace Loom.Core.Settings.Rules;

/// <summary>What a log directive holds that has no effect here.</summary>
internal static class LogRules
{
    public static void Directive(Draft draft)
    {
        const string Key = "telemetry.log";
        if (draft.IsAtFault(Key) || draft.Value<LogDirective>(Key) is not { } directive)
        {
            return;
        }

        foreach (var filter in directive.PassedOver)
        {
            draft.Warn(FaultCode.NotOneOf, Key, $"'{Redaction.Plain(filter)}' is a span or regex filter, which is passed over", "use level or target=level");
        }

        foreach (var target in directive.UnknownTargets)
        {
            draft.Warn(FaultCode.NotOneOf, Key, $"nothing logs as '{Redaction.Plain(target)}'", "known: " + string.Join(", ", LogDirective.Parts));
        }
    }
}
