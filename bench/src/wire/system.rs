//! The systems under test, and their setup on the device.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bailey_lab::inline_testbed::SIDES;
use bailey_lab::{Daemon, Namespace};
use ipnet::IpNet;
use libbpf_rs::{MapCore, MapFlags};

use super::testbed::{Forwarding, WireTestbed, ifindex};
use crate::daemon_under_test::{self, DaemonOptions};
use crate::object::{BpfObject, image};
use crate::results::WITHOUT_RECORDER;
use crate::xdp_filter::XdpFilter;

/// A system that can run on the device under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// Upper bound of a dropping system's speed: XDP_DROP for every frame.
    XdpDrop,
    /// Upper bound of a replying system's speed: XDP_TX for every frame.
    XdpTx,
    /// Upper bound of a forwarding system's speed: XDP_REDIRECT for every frame.
    XdpRedirect,
    /// Upper bound of a dropping firewall's speed: reads the headers, then XDP_DROP.
    ReadDrop,
    /// Upper bound of a forwarding firewall's speed: reads the headers, then XDP_REDIRECT.
    ReadRedirect,
    /// A Linux bridge without a firewall.
    Kernel,
    Bailey,
    /// Bailey that keeps no records of packets.
    BaileyWithoutRecorder,
    /// An nftables set at the ingress hook of the interface, the earliest hook.
    Nftables,
    /// An nftables set in prerouting, before connection tracking.
    NftablesRaw,
    /// One nftables rule per prefix at the ingress hook.
    NftablesLinear,
    /// An nftables set after connection tracking, for packets without a connection.
    NftablesConntrack,
    IptablesIpset,
    /// xdp-filter with single addresses, and the Linux bridge for passed frames.
    XdpFilter,
}

/// Objects that must live as long as the measurement.
pub(crate) enum SystemGuard {
    Nothing,
    Daemon { _daemon: Box<Daemon> },
    Objects { _object: Arc<Mutex<BpfObject>> },
    Filter { _filter: Box<XdpFilter> },
}

/// The policy of all systems.
pub(crate) struct WirePolicy<'a> {
    /// Prefixes that must not reach the server; all other sources may.
    pub(crate) denied: &'a [IpNet],
    /// Capacity of flow tables.
    pub(crate) flows: u32,
    /// Disables limits of new flows.
    pub(crate) allow_floods: bool,
}

/// Maximum number of addresses for xdp-filter.
const MAX_ADDRESSES: usize = 4 << 20;
const MAX_LINEAR_RULES: usize = 1000;
/// Maximum number of prefixes for Bailey without its recorder.
const MAX_UNRECORDED_PREFIXES: usize = 10_000;

pub(crate) const ALL: [System; 14] = [
    System::XdpDrop,
    System::XdpTx,
    System::XdpRedirect,
    System::ReadDrop,
    System::ReadRedirect,
    System::Kernel,
    System::Bailey,
    System::BaileyWithoutRecorder,
    System::Nftables,
    System::NftablesRaw,
    System::NftablesLinear,
    System::NftablesConntrack,
    System::IptablesIpset,
    System::XdpFilter,
];

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::XdpDrop => "xdp-drop",
            Self::XdpTx => "xdp-tx",
            Self::XdpRedirect => "xdp-redirect",
            Self::ReadDrop => "read-drop",
            Self::ReadRedirect => "read-redirect",
            Self::Kernel => "kernel",
            Self::Bailey => "bailey",
            Self::BaileyWithoutRecorder => WITHOUT_RECORDER,
            Self::Nftables => "nftables",
            Self::NftablesRaw => "nftables-raw",
            Self::NftablesLinear => "nftables-linear",
            Self::NftablesConntrack => "nftables-conntrack",
            Self::IptablesIpset => "iptables-ipset",
            Self::XdpFilter => "xdp-filter",
        }
    }

    /// Why the system cannot run a scenario; none if it can.
    pub(crate) fn unsupported_reason(
        self,
        forwards: bool,
        denied: &[IpNet],
    ) -> Option<&'static str> {
        match self {
            Self::XdpDrop | Self::XdpTx | Self::ReadDrop if forwards => Some("forwards nothing"),
            Self::BaileyWithoutRecorder if forwards => Some("no packet leaves a record"),
            Self::BaileyWithoutRecorder if denied.len() > MAX_UNRECORDED_PREFIXES => {
                Some("compared with at most 10 000 prefixes")
            }
            Self::XdpRedirect | Self::ReadRedirect if !forwards => Some("denies nothing"),
            Self::NftablesLinear if denied.len() > MAX_LINEAR_RULES => Some("more than 1000 rules"),
            Self::XdpFilter if denied.iter().flat_map(addresses_of).count() > MAX_ADDRESSES => {
                Some("supports addresses only, and these prefixes have too many")
            }
            _ => None,
        }
    }

    /// Whether the system passes denied sources.
    pub(crate) fn passes_denied(self) -> bool {
        matches!(
            self,
            Self::Kernel | Self::XdpTx | Self::XdpRedirect | Self::ReadRedirect
        )
    }

    fn forwarding(self) -> Forwarding {
        match self {
            Self::XdpDrop
            | Self::XdpTx
            | Self::XdpRedirect
            | Self::ReadDrop
            | Self::ReadRedirect
            | Self::Bailey
            | Self::BaileyWithoutRecorder => Forwarding::None,
            Self::Kernel | Self::Nftables | Self::NftablesLinear | Self::XdpFilter => {
                Forwarding::Bridge
            }
            // These hooks belong to the IP stack.
            Self::NftablesRaw | Self::NftablesConntrack | Self::IptablesIpset => Forwarding::Route,
        }
    }

    /// Sets up the device under test for the first frame.
    pub(crate) fn set_up(
        self,
        testbed: &WireTestbed,
        policy: &WirePolicy<'_>,
    ) -> Result<SystemGuard> {
        testbed.forward(self.forwarding())?;
        let bump = &testbed.wire.bump;
        let nft = |ruleset: String| -> Result<SystemGuard> {
            let file = write_file(testbed, "ruleset.nft", &ruleset)?;
            bump.command("nft", &format!("-f {}", file.display()))?;
            Ok(SystemGuard::Nothing)
        };
        let set = || nft_set(policy.denied);
        match self {
            Self::Kernel => Ok(SystemGuard::Nothing),
            Self::XdpDrop => attach_both_sides(bump, "drop_plain"),
            Self::XdpTx => attach_both_sides(bump, "tx"),
            Self::XdpRedirect => attach_redirect(bump, "redirect"),
            Self::ReadDrop => attach_both_sides(bump, "read_drop"),
            Self::ReadRedirect => attach_redirect(bump, "read_redirect"),
            Self::Bailey | Self::BaileyWithoutRecorder => launch_bailey(
                testbed,
                &DaemonOptions {
                    flows: policy.flows,
                    allow_floods: policy.allow_floods,
                    without_recorder: self == Self::BaileyWithoutRecorder,
                },
                policy.denied,
            ),
            Self::Nftables => nft(format!(
                "table netdev bench {{\n{}chain early {{\ntype filter hook ingress device \"{}\" \
                 priority -500; policy accept;\nip saddr @denied drop\n}}\n}}\n",
                set(),
                SIDES[0]
            )),
            Self::NftablesLinear => {
                let rules = policy
                    .denied
                    .iter()
                    .fold(String::new(), |mut rules, prefix| {
                        let _ = writeln!(rules, "ip saddr {prefix} drop");
                        rules
                    });
                nft(format!(
                    "table netdev bench {{\nchain early {{\ntype filter hook ingress device \"{}\" \
                     priority -500; policy accept;\n{rules}}}\n}}\n",
                    SIDES[0]
                ))
            }
            Self::NftablesRaw => nft(format!(
                "table ip bench {{\n{}chain early {{\ntype filter hook prerouting priority raw; \
                 policy accept;\nip saddr @denied drop\n}}\n}}\n",
                set()
            )),
            Self::NftablesConntrack => nft(format!(
                "table ip bench {{\n{}chain early {{\ntype filter hook prerouting priority filter; \
                 policy accept;\nct state established,related accept\nip saddr @denied drop\n}}\n}}\n",
                set()
            )),
            Self::IptablesIpset => load_ipset(testbed, policy.denied),
            Self::XdpFilter => {
                let sources: Vec<IpAddr> = policy.denied.iter().flat_map(addresses_of).collect();
                let filter = XdpFilter::new(&sources)?;
                WireTestbed::attach(bump, SIDES[0], filter.program().try_clone_to_owned()?)?;
                Ok(SystemGuard::Filter {
                    _filter: Box::new(filter),
                })
            }
        }
    }
}

/// All addresses of an IPv4 prefix; none for IPv6.
fn addresses_of(prefix: &IpNet) -> impl Iterator<Item = IpAddr> + use<> {
    let (IpAddr::V4(first), IpAddr::V4(last)) = (prefix.network(), prefix.broadcast()) else {
        return None.into_iter().flatten();
    };
    let addresses = (first.to_bits()..=last.to_bits()).map(|bits| Ipv4Addr::from_bits(bits).into());
    Some(addresses).into_iter().flatten()
}

fn write_file(testbed: &WireTestbed, name: &str, text: &str) -> Result<PathBuf> {
    let path = testbed.wire.root().join(name);
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn nft_set(prefixes: &[IpNet]) -> String {
    let mut set = String::from("set denied {\ntype ipv4_addr; flags interval;\nelements = {");
    for (n, prefix) in prefixes.iter().enumerate() {
        let comma = if n > 0 { ",\n" } else { "" };
        let _ = write!(set, "{comma}{prefix}");
    }
    set + "}\n}\n"
}

fn load_ipset(testbed: &WireTestbed, prefixes: &[IpNet]) -> Result<SystemGuard> {
    let count = prefixes.len().max(1024);
    let mut text = format!("create denied hash:net family inet hashsize {count} maxelem {count}\n");
    for prefix in prefixes {
        writeln!(text, "add denied {prefix}")?;
    }
    let file = write_file(testbed, "denied.ipset", &text)?;
    let bump = &testbed.wire.bump;
    bump.command("ipset", &format!("restore -file {}", file.display()))?;
    bump.command(
        "iptables-legacy",
        "-t raw -A PREROUTING -m set --match-set denied src -j DROP",
    )?;
    Ok(SystemGuard::Nothing)
}

fn attach_both_sides(bump: &Namespace, program: &str) -> Result<SystemGuard> {
    let object = BpfObject::load_embedded(image!("verdicts"), &[])?;
    for side in SIDES {
        WireTestbed::attach(bump, side, object.program_fd(program)?)?;
    }
    Ok(SystemGuard::Nothing)
}

fn attach_redirect(bump: &Namespace, program: &str) -> Result<SystemGuard> {
    let object = BpfObject::load_embedded(image!("verdicts"), &[])?;
    let [left, right] = [ifindex(bump, SIDES[0])?, ifindex(bump, SIDES[1])?];
    for side in SIDES {
        WireTestbed::attach(bump, side, object.program_fd(program)?)?;
    }
    let object = Arc::new(Mutex::new(object));
    let shared = Arc::clone(&object);
    // The map must be written from the namespace of its interfaces.
    bump.run(move || -> Result<()> {
        let object = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let map = object.map("other_side")?;
        for (from, to) in [(left, right), (right, left)] {
            map.update(&from.to_ne_bytes(), &to.to_ne_bytes(), MapFlags::ANY)?;
        }
        Ok(())
    })?;
    Ok(SystemGuard::Objects { _object: object })
}

/// Launches the daemon with a bridge configuration.
fn launch_bailey(
    testbed: &WireTestbed,
    options: &DaemonOptions,
    denied: &[IpNet],
) -> Result<SystemGuard> {
    let wire = &testbed.wire;
    daemon_under_test::write_config(wire, options)?;
    daemon_under_test::write_server_policies(wire, denied)?;
    Ok(SystemGuard::Daemon {
        _daemon: Box::new(daemon_under_test::launch(wire, "attached")?),
    })
}
