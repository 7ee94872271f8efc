namespace Loom.Core.Settings.Rules;

/// <summary>Invented results where real ones are expected: R15.</summary>
internal static class MockRules
{
    public static void InProduction(Draft draft)
    {
        const string Key = "reasoning.features.mock_mode";
        if (!draft.Request.TestMode && !draft.IsAtFault(Key) && draft.Value<bool>(Key))
        {
            draft.Report("R15", Key, "in production mode: every answer is invented and marked mock", "unset it", FaultSeverity.Warning);
        }
    }
}
