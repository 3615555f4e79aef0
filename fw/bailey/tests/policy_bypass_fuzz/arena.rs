//! The place of one fuzz run: two ends, their addresses, and what Bailey knows of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_datapath::kernel::netlink;
use bailey_lab::Namespace;
use bailey_reference::Frames;
use ipnet::IpNet;

/// Where somebody sends and somebody listens.
pub(crate) struct Arena<'a> {
    pub(crate) name: &'static str,
    /// Both ends, by their namespaces and interfaces.
    pub(crate) ends: [(&'a Namespace, &'static str); 2],
    /// Stations that frames of each end go to, beside one that nobody is.
    pub(crate) stations: [Vec<[u8; 6]>; 2],
    pub(crate) frames: Frames,
    /// All addresses of the endpoint, and around them, are in here.
    pub(crate) isolated: Vec<IpNet>,
    /// Is it told which side is the inside? Then nothing comes from there with another's address.
    pub(crate) told: bool,
    /// Addresses that nobody judges: between them and the endpoint there is no NIC.
    pub(crate) unseen: Vec<IpAddr>,
    /// The broadcast addresses of subnets that the machine is in.
    pub(crate) broadcasts: Vec<IpAddr>,
    pub(crate) pools: (Vec<Ipv4Addr>, Vec<Ipv6Addr>),
    /// How many of its frames for each direction at least must come out, since they pass: the test sees
    /// something.
    pub(crate) least: usize,
}

pub(crate) fn mac(namespace: &Namespace, interface: &'static str) -> [u8; 6] {
    namespace
        .run(move || netlink::interface_by_name(interface))
        .unwrap()
        .unwrap()
        .mac
        .unwrap()
}

pub(crate) fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        pair(a ^ 2, b),
        pair(c, 0xff),
        pair(0xfe, d),
        pair(e, f),
    )
}

/// Addresses that are nobody's, groups', and those given.
pub(crate) fn pools(
    ipv4: &[&str],
    ipv6: &[&str],
    local: &[Ipv6Addr],
) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
    const IPV4: [&str; 9] = [
        "198.51.100.9",
        "203.0.113.77",
        "169.254.7.7",
        "224.0.0.1",
        "224.0.0.5",
        "224.0.0.251",
        "239.1.1.1",
        "255.255.255.255",
        "240.1.1.1",
    ];
    const IPV6: [&str; 10] = [
        "2001:db8:f::9",
        "fe80::bad",
        "ff02::1",
        "ff02::5",
        "ff02::fb",
        "ff02::1:2",
        "ff05::2",
        "ff0e::9",
        "::ffff:10.9.0.2",
        "fec0::1",
    ];
    // What is meant comes as often as everything else.
    let four = ipv4.iter().cycle().take(IPV4.len() + 3).chain(&IPV4);
    let six = ipv6.iter().cycle().take(IPV6.len() + 3).chain(&IPV6);
    let six = six.map(|text| text.parse().unwrap());
    (
        four.map(|text| text.parse().unwrap()).collect(),
        six.chain(local.iter().copied()).collect(),
    )
}

pub(crate) fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// All addresses of a namespace.
pub(crate) fn addresses(namespace: &Namespace) -> Vec<IpAddr> {
    let output = namespace.run(|| {
        let mut command = std::process::Command::new("ip");
        command.args(["-o", "address"]).output().unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3));
    let nets = words.filter_map(|word| word.parse::<IpNet>().ok());
    nets.map(|net| net.addr()).collect()
}
