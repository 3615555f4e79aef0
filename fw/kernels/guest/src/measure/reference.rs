//! The LRU-hash/LPM baseline of the benchmarks on the same frames.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, ensure};
use aya::maps::{HashMap, LpmTrie, MapData, lpm_trie::Key};
use aya::programs::Xdp;
use aya::{Ebpf, EbpfLoader};
use bailey_datapath::program::frame;
use bailey_datapath::program::test_run;
use bailey_policy::Protocol;

use super::{ACK, CLIENT, POD, STRANGER, SYN, ip, record};

static IMAGE: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/reference.bpf.o"));

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const FLOWS: u32 = 4096;
/// The identity of the pod, and of the sources that may reach it.
const IDENTITY: u32 = 1;

/// `struct rule` of reference.bpf.c: subject, peer, port, protocol.
fn rule(port: u16, protocol: Protocol) -> [u8; 12] {
    let mut rule = [0; 12];
    rule[..4].copy_from_slice(&IDENTITY.to_ne_bytes());
    rule[4..8].copy_from_slice(&IDENTITY.to_ne_bytes());
    rule[8..10].copy_from_slice(&port.to_be_bytes());
    rule[10] = protocol.0;
    rule
}

/// Loads the program with the same policy as [`super::tables`].
fn load() -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    for map in [
        "flows4",
        "flows6",
        "prefixes4",
        "prefixes6",
        "policies",
        "endpoints4",
        "endpoints6",
    ] {
        loader.map_max_entries(map, FLOWS);
    }
    let mut object = loader.load(IMAGE)?;
    let mut policies: HashMap<&mut MapData, [u8; 12], u8> =
        object.map_mut("policies").context("policies")?.try_into()?;
    for protocol in [Protocol::TCP, Protocol::UDP] {
        policies.insert(rule(80, protocol), 1, 0)?;
    }
    for (pod, client) in POD.map(ip).into_iter().zip(CLIENT.map(ip)) {
        match (pod, client) {
            (IpAddr::V4(pod), IpAddr::V4(client)) => {
                endpoint(&mut object, "endpoints4", pod.octets())?;
                prefix(&mut object, "prefixes4", 16, client.octets())?;
            }
            (IpAddr::V6(pod), IpAddr::V6(client)) => {
                endpoint(&mut object, "endpoints6", pod.octets())?;
                prefix(&mut object, "prefixes6", 64, client.octets())?;
            }
            _ => unreachable!("both are of one family"),
        }
    }
    let program: &mut Xdp = object
        .program_mut("reference")
        .context("no program")?
        .try_into()?;
    program.load()?;
    Ok(object)
}

/// Adds an endpoint to a hash.
fn endpoint<const N: usize>(object: &mut Ebpf, map: &str, address: [u8; N]) -> Result<()>
where
    [u8; N]: aya::Pod,
{
    let map = object.map_mut(map).with_context(|| map.to_owned())?;
    let mut map: HashMap<&mut MapData, [u8; N], u32> = map.try_into()?;
    Ok(map.insert(address, IDENTITY, 0)?)
}

/// Adds a prefix to an LPM trie.
fn prefix<const N: usize>(object: &mut Ebpf, map: &str, bits: u32, address: [u8; N]) -> Result<()>
where
    [u8; N]: aya::Pod,
{
    let map = object.map_mut(map).with_context(|| map.to_owned())?;
    let mut map: LpmTrie<&mut MapData, [u8; N], u32> = map.try_into()?;
    Ok(map.insert(&Key::new(bits, address), IDENTITY, 0)?)
}

/// Measures the cost of a frame, and checks that the action is that of Bailey.
fn measured(program: BorrowedFd<'_>, frame: &[u8], repeat: u32, action: u32) -> Result<u32> {
    let (code, cost) = test_run::measure(program, frame, repeat)?;
    ensure!(code == action, "returns {code}, not {action}");
    Ok(cost)
}

/// Records the cost of those fixtures that the baseline supports.
pub(super) fn packets(repeat: u32) -> Result<()> {
    let mut object = load().context("the reference")?;
    let program: &mut Xdp = object
        .program_mut("reference")
        .context("no program")?
        .try_into()?;
    let program = program.fd()?.as_fd();
    for (family, name) in ["ipv4", "ipv6"].into_iter().enumerate() {
        let (client, pod) = (ip(CLIENT[family]), ip(POD[family]));
        let stranger = ip(STRANGER[family]);
        let tcp =
            |from, sport, flags| frame::ip(from, pod, Protocol::TCP, &frame::tcp(sport, 80, flags));
        let udp = frame::ip(stranger, pod, Protocol::UDP, &frame::udp(40000, 80));
        measured(program, &tcp(client, 40000, SYN), 1, XDP_PASS).context("SYN")?;
        for (what, frame, action) in [
            ("established", tcp(client, 40000, ACK), XDP_PASS),
            ("denied-tcp", tcp(stranger, 1, SYN), XDP_DROP),
            ("denied-udp", udp, XDP_DROP),
        ] {
            let cost =
                measured(program, &frame, repeat, action).with_context(|| what.to_owned())?;
            record(&format!("reference.{name}.{what}"), cost);
        }
    }
    Ok(())
}
