//! The Bailey daemon in a test network: its configuration, its policies, its start and its detach.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use bailey_lab::daemon::{CONFIG, POLICIES};
use bailey_lab::inline_testbed::SIDES;
use bailey_lab::{Daemon, InlineTestbed, Namespace, NicTestbed};
use ipnet::IpNet;
use serde_json::{Value, json};

use crate::wire::frames::{PORT, SERVER};

/// Configuration of the daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DaemonOptions {
    /// Capacity of the flow table.
    pub(crate) flows: u32,
    /// Disables the limits of new flows, because the test creates flows at the rate of a flood.
    pub(crate) allow_floods: bool,
    /// Keeps no records of packets.
    pub(crate) without_recorder: bool,
}

/// Network namespace and root folder of a daemon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host<'a> {
    namespace: &'a Namespace,
    root: &'a Path,
}

impl<'a> From<&'a InlineTestbed> for Host<'a> {
    fn from(wire: &'a InlineTestbed) -> Self {
        Self {
            namespace: &wire.bump,
            root: wire.root(),
        }
    }
}

impl<'a> From<&'a NicTestbed> for Host<'a> {
    fn from(rack: &'a NicTestbed) -> Self {
        Self {
            namespace: &rack.device,
            root: rack.root(),
        }
    }
}

/// Maximum start time; a million prefixes take the longest.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// Writes the configuration of a bridge, and creates the folder of its policies.
pub(crate) fn write_config<'a>(host: impl Into<Host<'a>>, options: &DaemonOptions) -> Result<()> {
    let root = host.into().root;
    fs::create_dir(root.join(POLICIES))?;
    let flood = if options.allow_floods {
        "[flood]\nnew_flows_per_second = 4000000000\nnew_flows_per_second_per_source = 0\n"
    } else {
        ""
    };
    let recorder = if options.without_recorder {
        "[recorder]\nrecords = 0\n"
    } else {
        ""
    };
    let [left, right] = SIDES;
    let text = format!(
        "policies = [\"{root}/{POLICIES}\"]\ntopology = \"bridge\"\n\
         interfaces = [\"{left}\", \"{right}\"]\n\
         [limits]\nrules = {rules}\nclasses = {classes}\ntable_bytes = {table_bytes}\n\
         [flow_table]\nflows = {flows}\nflows_per_source = 0\n{flood}{recorder}\
         [paths]\npins = \"{root}/bpf/bailey\"\nrun = \"{root}/run\"\nstate = \"{root}/state\"\n",
        root = root.display(),
        rules = 1 << 18,
        classes = 1 << 22,
        table_bytes = 1_u32 << 30,
        flows = options.flows,
    );
    Ok(fs::write(root.join(CONFIG), text)?)
}

/// The folder of the policies.
pub(crate) fn policy_dir<'a>(host: impl Into<Host<'a>>) -> PathBuf {
    host.into().root.join(POLICIES)
}

/// Writes the server workload, and a policy that allows every source except these prefixes.
pub(crate) fn write_server_policies(wire: &InlineTestbed, denied: &[IpNet]) -> Result<()> {
    write_server_workload(wire, &[SERVER.into()])?;
    write_denied_policy(&policy_dir(wire), denied)
}

/// Writes the server as a workload.
pub(crate) fn write_server_workload<'a>(
    host: impl Into<Host<'a>>,
    addresses: &[IpAddr],
) -> Result<()> {
    let workload = json!({
        "apiVersion": "bailey.dev/v1", "kind": "Workload",
        "metadata": {"name": "server", "namespace": "wire"},
        "spec": {"addresses": addresses},
    });
    Ok(fs::write(
        policy_dir(host).join("server.json"),
        workload.to_string(),
    )?)
}

/// Writes the policy that allows every source except these prefixes.
pub(crate) fn write_denied_policy(folder: &Path, denied: &[IpNet]) -> Result<()> {
    let ports = ["TCP", "UDP"].map(|protocol| json!({"protocol": protocol, "port": PORT}));
    let block = json!({"cidr": "0.0.0.0/0", "except": denied});
    let rule = json!({"from": [{"ipBlock": block}], "ports": ports});
    write_policy(folder, "denied", &rule)
}

/// Writes a policy of the server with one ingress rule.
pub(crate) fn write_policy(folder: &Path, name: &str, rule: &Value) -> Result<()> {
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "wire"},
        "spec": {"podSelector": {}, "ingress": [rule]},
    });
    Ok(fs::write(
        folder.join(format!("{name}.json")),
        policy.to_string(),
    )?)
}

/// Starts the daemon, and waits until it logs `until` (`attached` or `adopted`) for both
/// interfaces.
pub(crate) fn launch<'a>(host: impl Into<Host<'a>>, until: &str) -> Result<Daemon> {
    let Host { namespace, root } = host.into();
    let binary = binary_path()?;
    let mut daemon = Daemon::launch(namespace, root, &binary, &[])?;
    for _ in SIDES {
        daemon.wait_for(until, START_TIMEOUT)?;
    }
    Ok(daemon)
}

/// Detaches all programs that a daemon left, and removes its pins.
pub(crate) fn detach<'a>(host: impl Into<Host<'a>>) -> Result<()> {
    let Host { namespace, root } = host.into();
    let output =
        bailey_lab::daemon::query(namespace, root, &binary_path()?, "detach --yes-unfiltered")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot detach: {error}");
    Ok(())
}

/// The binary beside the benchmark's.
pub(crate) fn binary_path() -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("bailey");
    ensure!(
        binary.exists(),
        "{} does not exist; run `make build`",
        binary.display()
    );
    Ok(binary)
}
