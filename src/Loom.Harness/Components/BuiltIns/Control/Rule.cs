namespace Loom.Harness.Components.BuiltIns.Control;

/// <summary>What a rule asks for at a look.</summary>
internal enum RuleStep
{
    None,
    Do,
    Undo,
}

/// <summary>Remembers whether a rule's condition holds and since when. Pure over what it is told; a condition that cannot be worked out changes nothing.</summary>
internal sealed class Rule(TimeSpan hold)
{
    private DateTimeOffset? _since;
    private bool _done;

    public RuleStep Look(bool? holds, DateTimeOffset now)
    {
        if (holds is null)
        {
            return RuleStep.None;
        }

        if (!holds.Value)
        {
            _since = null;
            var undo = _done;
            _done = false;
            return undo ? RuleStep.Undo : RuleStep.None;
        }

        _since ??= now;
        if (_done || now - _since < hold)
        {
            return RuleStep.None;
        }

        _done = true;
        return RuleStep.Do;
    }
}
