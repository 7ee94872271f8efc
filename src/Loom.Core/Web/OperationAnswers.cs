using Loom.Wire;

namespace Loom.Core.Web;

/// <summary>What an operation that was waited for is answered with, at the control plane and at an agent alike.</summary>
public static class OperationAnswers
{
    /// <summary>200 when it is done, 409 when it was rolled back, 500 when it failed; 202 while it runs.</summary>
    public static int StatusOf(OperationState state) => state switch
    {
        OperationState.Succeeded => 200,
        OperationState.RolledBack => 409,
        OperationState.Running => 202,
        _ => 500,
    };
}
