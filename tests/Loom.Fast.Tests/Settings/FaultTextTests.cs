using Loom.Cli.Config;
using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>The three outputs of the configuration spec, section 10, letter by letter.</summary>
public sealed class FaultTextTests
{
    private static readonly Setting[] s_rows =
    [
        .. SharedSettings.All,
        Setting.Bool("serving.cloud_profile", "Chooses the CLOUD profile.", "false", variables: ["ORCHESTRATORD_CLOUD_PROFILE"]),
        Setting.Address("serving.bind", "Address of the API.", "127.0.0.1:8080", "0.0.0.0:8080", variables: ["ORCHESTRATORD_BIND_ADDR", "ORCHD_ADDR"]),
        Setting.Address("serving.node.bind", "Address of the node agent.", "127.0.0.1:9200", "0.0.0.0:9200", variables: ["POOL_MANAGERD_BIND_ADDR"]),
        Setting.String("serving.node.id", "Name of this node.", cloud: "required", min: "1", max: "128", variables: ["POOL_MANAGERD_NODE_ID"]),
        Setting.UrlList("serving.node.control_plane_url", "Address of the control plane.", cloud: "required", variables: ["ORCHESTRATORD_URL"]),
        Setting.Int("serving.node.heartbeat_interval_secs", "Pause between heartbeats.", "10", min: "1", max: "60", unit: "s"),
        Setting.Int("dashboard.port", "Port of the dashboard.", "3030", min: "0", max: "65535", unit: "port", variables: ["LOOM_DASHBOARD_PORT"]),
        Setting.Int("reasoning.llm.output_cap", "Output of one turn.", "8192"),
    ];

    [Fact]
    public void Write_CloudWorkerWithoutAnything_IsTheFirstExample()
    {
        var load = new TestLoad(s_rows).For(LoomPart.PoolManagerd).Variable("ORCHESTRATORD_CLOUD_PROFILE", "true").Variable("POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", "90");
        FaultText.Write(load.Load(), starting: true).ShouldBe("""
            loom: configuration: 4 errors; nothing was started (profile cloud, mode production)
            missing: error CFG040 auth.token LLORCH_API_TOKEN
              required because ORCHESTRATORD_CLOUD_PROFILE=true (environment)
              fix: the control plane's token in LLORCH_API_TOKEN, or a file in LLORCH_API_TOKEN_FILE
            missing: error CFG040 serving.node.control_plane_url ORCHESTRATORD_URL
              fix: for example ORCHESTRATORD_URL=http://queen-rbee:8080
            environment: error CFG022 serving.node.heartbeat_interval_secs POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS="90"
              expected an integer from 1 to 60 (s)
            missing: error CFG040 serving.node.id POOL_MANAGERD_NODE_ID
              fix: a name no other node has, for example POOL_MANAGERD_NODE_ID=gpu-node-1

            """);
    }

    [Fact]
    public void Write_FaultsOfTheFile_IsTheSecondExample()
    {
        var load = new TestLoad(s_rows).Toml("""
            # loom.toml


            [dashboard]
            # address
            port = "three thousand"

            [llm.deepseek]
            model = "deepseek-chat"
            api_key = "${DEEPSEEK_API_KEY}"

            [dashbord]
            """);
        FaultText.Write(load.Load(), starting: true).ShouldBe("""
            loom: configuration: 3 errors; nothing was started (profile home, mode production)
            loom.toml:6:8: error CFG020 dashboard.port
              6 | port = "three thousand"
                |        ^^^^^^^^^^^^^^^^ expected an integer from 0 to 65535
              fix: port = 3030
            loom.toml:10:12: error CFG030 llm.deepseek.api_key
              10 | api_key = "${DEEPSEEK_API_KEY}"
                 |            ^^^^^^^^^^^^^^^^^^^ DEEPSEEK_API_KEY is not set
              fix: export DEEPSEEK_API_KEY, put it into .env, or write ${DEEPSEEK_API_KEY:-}
            loom.toml:12:2: error CFG010 dashbord
              12 | [dashbord]
                 |  ^^^^^^^^ unknown table
              fix: [dashboard]

            """);
    }

    [Fact]
    public void Write_FaultsOfAllLayers_IsTheThirdExample()
    {
        var load = new TestLoad(s_rows).Variable("ORCHESTRATORD_BIND_ADDR", "127.0.0.1:8080").Variable("ORCHESTRATOR_LLM_OUTPUT_CAP", "4096")
            .EnvFile("# a\n\nORCHD_ADDR=0.0.0.0:8080\n").Toml("# loom\n\n\n\n\n[llm.deepseek]\nmodel = deepseek-chat\n");
        FaultText.Write(load.Load(), starting: true).ShouldBe("""
            loom: configuration: 2 errors, 1 warning; nothing was started (profile home, mode production)
            loom.toml:7:9: error CFG001
              7 | model = deepseek-chat
                |         ^ a text value needs quotes
            .env:3:1: error CFG041 serving.bind ORCHD_ADDR="0.0.0.0:8080"
              ORCHESTRATORD_BIND_ADDR="127.0.0.1:8080" (environment) sets it too
              fix: keep one; ORCHD_ADDR is the older name
            environment: warning CFG011 ORCHESTRATOR_LLM_OUTPUT_CAP
              fix: did you mean ORCHESTRATOR_LLM__OUTPUT_CAP?

            """);
    }
}
