//! What this kernel and these NICs have and lack, what each lack costs, and what to do about it.

use std::fs;
use std::path::Path;

use crate::attach::event::Interface;
use crate::attach::preflight::{check_kernel, preflight};
use crate::kernel::bpf;
use crate::kernel::forwarding::{filters_reverse_path, has_ipsec_policy};
use crate::kernel::xdp_mode::XdpMode;
use crate::maps::pins::PinDir;
use crate::observe::status::xdp_program_of;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Fine,
    /// Works, with one feature less.
    Degraded,
    /// Bailey cannot work so.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: `kernel`, `bpffs`, or an interface.
    pub subject: String,
    /// How bad it is.
    pub grade: Grade,
    /// What was found, and what it costs.
    pub found: String,
    /// What to do; empty if there is nothing to do.
    pub remedy: String,
}

impl Finding {
    fn new(subject: &str, grade: Grade, found: impl Into<String>, remedy: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            grade,
            found: found.into(),
            remedy: remedy.to_owned(),
        }
    }
}

/// Looks at everything that these settings need. `pins` is where maps are to be pinned.
pub fn examine(settings: &Settings, pins: &Path, interfaces: &[Interface]) -> Vec<Finding> {
    let mut findings = vec![
        kernel(),
        egress(settings),
        syn_cookies(settings),
        btf(),
        jit(),
        membarrier(),
        bpffs(pins),
    ];
    if settings.topology == Topology::Router {
        findings.push(ipsec());
        findings.extend(interfaces.iter().filter_map(reverse_path));
    }
    findings.extend(
        interfaces
            .iter()
            .flat_map(|interface| nic(settings, pins, interface)),
    );
    findings
}

fn kernel() -> Finding {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    match check_kernel() {
        Ok(()) => Finding::new("kernel", Grade::Fine, format!("Linux {release}"), ""),
        Err(error) => Finding::new(
            "kernel",
            Grade::Missing,
            format!("Linux {release}: {error}"),
            "boot another kernel, Linux 6.1 or newer without PREEMPT_RT",
        ),
    }
}

fn egress(settings: &Settings) -> Finding {
    let subject = "egress hook";
    let has_tcx = egress::has_tcx();
    match (settings.topology, settings.egress_hook) {
        (Topology::Bridge, _) => Finding::new(subject, Grade::Fine, "a bridge needs none", ""),
        (_, EgressHook::Tcx | EgressHook::Auto) if has_tcx => {
            Finding::new(subject, Grade::Fine, "tcx", "")
        }
        (_, EgressHook::Tcx) => Finding::new(
            subject,
            Grade::Missing,
            "tcx is asked for, and this kernel has none (Linux 6.6)",
            "egress_hook = \"auto\"",
        ),
        (_, EgressHook::Clsact | EgressHook::Auto) => Finding::new(
            subject,
            Grade::Degraded,
            "a filter of clsact: anyone who may use tc can take it off; Bailey puts it back within \
             seconds",
            if has_tcx {
                "egress_hook = \"auto\""
            } else {
                "a kernel with tcx, Linux 6.6 or newer"
            },
        ),
    }
}

/// The kernel makes cookies for a program only where it makes them for every SYN.
fn syn_cookies(settings: &Settings) -> Finding {
    let subject = "SYN cookies";
    if settings.topology == Topology::Bridge || !settings.flood.enabled {
        return Finding::new(subject, Grade::Fine, "not asked for", "");
    }
    let path = "/proc/sys/net/ipv4/tcp_syncookies";
    match fs::read_to_string(path).as_deref().map(str::trim) {
        Ok("2") => Finding::new(subject, Grade::Fine, "the kernel makes them", ""),
        _ => Finding::new(
            subject,
            Grade::Degraded,
            "net.ipv4.tcp_syncookies is not 2: under a flood clients of this machine's own \
             listeners are challenged instead, which costs some of them a second",
            "sysctl -w net.ipv4.tcp_syncookies=2 (the kernel then makes them without a flood too)",
        ),
    }
}

fn btf() -> Finding {
    if Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Finding::new("BTF", Grade::Fine, "of the kernel is there", "");
    }
    Finding::new(
        "BTF",
        Grade::Missing,
        "the kernel has none; programs cannot be loaded",
        "a kernel with CONFIG_DEBUG_INFO_BTF",
    )
}

fn jit() -> Finding {
    let path = "/proc/sys/net/core/bpf_jit_enable";
    match fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .as_deref()
    {
        Ok("0") => Finding::new(
            "BPF JIT",
            Grade::Degraded,
            "off: every packet is interpreted, many times slower",
            "sysctl -w net.core.bpf_jit_enable=1",
        ),
        // Where it cannot be read it is compiled in.
        _ => Finding::new("BPF JIT", Grade::Fine, "on", ""),
    }
}

fn membarrier() -> Finding {
    match bpf::grace_period() {
        Ok(()) => Finding::new("membarrier", Grade::Fine, "works", ""),
        Err(error) => Finding::new(
            "membarrier",
            Grade::Missing,
            format!("{error}: no moment is known at which an old generation is no longer used"),
            "boot without nohz_full",
        ),
    }
}

/// Of a router: does the stack have to forward everything?
fn ipsec() -> Finding {
    if !has_ipsec_policy() {
        return Finding::new("IPsec", Grade::Fine, "there is no policy", "");
    }
    Finding::new(
        "IPsec",
        Grade::Degraded,
        "there is IPsec policy: the stack forwards every packet, which asks it, and XDP forwards none",
        "ip xfrm policy; take policies away that nothing needs, or have IPsec on another machine",
    )
}

/// What the reverse path filter costs a router.
fn reverse_path(interface: &Interface) -> Option<Finding> {
    let name = &interface.name;
    filters_reverse_path(name).then(|| {
        Finding::new(
            &format!("{name}: rp_filter"),
            Grade::Fine,
            "on: each forwarded IPv4 packet costs a second look-up of the route",
            "",
        )
    })
}

fn bpffs(pins: &Path) -> Finding {
    if PinDir::is_possible(pins) {
        return Finding::new(
            "bpffs",
            Grade::Fine,
            format!("holds {}", pins.display()),
            "",
        );
    }
    Finding::new(
        "bpffs",
        Grade::Missing,
        format!(
            "{} is on no bpffs: nothing could outlive the daemon",
            pins.display()
        ),
        "mount -t bpf -o mode=0700 bpf /sys/fs/bpf",
    )
}

/// The MTU that fits one buffer of any driver.
const ONE_BUFFER: u32 = 3498;

fn nic(settings: &Settings, pins: &Path, interface: &Interface) -> Vec<Finding> {
    let name = &interface.name;
    let ours = xdp_program_of(pins, &interface.name);
    let found = match preflight(interface, ours, false) {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding::new(name, Grade::Missing, error.to_string(), "")];
        }
    };
    let (state, facts) = (&found.state, &found.facts);
    let driver = facts.driver.as_deref().unwrap_or("unknown driver");
    let mut findings = vec![Finding::new(
        name,
        Grade::Fine,
        format!(
            "{driver}, MTU {}, {} XDP asked for",
            state.mtu,
            interface.mode.name()
        ),
        "",
    )];
    if !state.running {
        findings.push(Finding::new(
            name,
            Grade::Degraded,
            "down, or without a carrier",
            &format!("ip link set {name} up"),
        ));
    }
    if interface.mode == XdpMode::Generic {
        findings.push(Finding::new(
            name,
            Grade::Degraded,
            "generic XDP: several times slower, and a full queue behind a bridge is not counted",
            "xdp_mode = \"native\", if the driver has it",
        ));
    }
    if state.mtu > ONE_BUFFER {
        findings.push(Finding::new(
            name,
            Grade::Degraded,
            format!(
                "MTU {}: only drivers with multi-buffer XDP take it; igb has none",
                state.mtu
            ),
            &format!("if attaching is refused: ip link set {name} mtu 1500"),
        ));
    }
    if facts.strips_tags == Some(true) {
        let matters = settings.topology == Topology::Bridge || settings.frames.vlan_zones;
        let consequence = if matters {
            "switched off while Bailey is attached; a NIC that cannot is refused"
        } else {
            "switched off while Bailey is attached, if the NIC can"
        };
        findings.push(Finding::new(
            name,
            Grade::Fine,
            format!("strips VLAN tags: {consequence}"),
            "",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(findings: &[Finding], subject: &str) -> Grade {
        let all = findings.iter().filter(|finding| finding.subject == subject);
        all.map(|finding| finding.grade).max().unwrap()
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let wanted = [Interface {
            name: "no-such-nic".into(),
            mode: XdpMode::Native,
            external: false,
        }];
        let settings = Settings {
            egress_hook: EgressHook::Clsact,
            ..Settings::default()
        };
        let findings = examine(&settings, Path::new("/tmp/pins"), &wanted);
        assert_eq!(of(&findings, "no-such-nic"), Grade::Missing);
        assert_eq!(of(&findings, "bpffs"), Grade::Missing);
        assert_eq!(of(&findings, "egress hook"), Grade::Degraded);
        let bad = findings
            .iter()
            .filter(|finding| finding.grade != Grade::Fine);
        for finding in bad.filter(|finding| finding.subject != "no-such-nic") {
            assert!(!finding.remedy.is_empty(), "{finding:?}");
        }
    }
}
