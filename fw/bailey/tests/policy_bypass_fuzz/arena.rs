//! The setting of one fuzz run: two ends, their addresses, and Bailey's settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bailey_datapath::kernel::netlink;
use bailey_lab::Namespace;
use bailey_reference::Frames;
use ipnet::IpNet;

/// Two ends between which random frames are sent, and the settings of the Bailey in between.
pub(crate) struct Arena<'a> {
    pub(crate) name: &'static str,
    /// The machine between the ends.
    pub(crate) machine: &'a Namespace,
    /// Namespace and interface of both ends.
    pub(crate) ends: [(&'a Namespace, &'static str); 2],
    /// Hardware addresses that frames of each end go to, beside an unknown one.
    pub(crate) stations: [Vec<[u8; 6]>; 2],
    pub(crate) frames: Frames,
    /// Declared prefixes: contain the endpoint's addresses and their neighbours.
    pub(crate) isolated: Vec<IpNet>,
    /// Whether `[sources]` is configured for every packet: then the internal end cannot use foreign
    /// sources.
    pub(crate) knows_sources: bool,
    /// Addresses of the machine: no NIC is between them and the endpoint, so no policy applies.
    pub(crate) machine_addresses: Vec<IpAddr>,
    /// Broadcast addresses of the machine's subnets.
    pub(crate) broadcasts: Vec<IpAddr>,
    pub(crate) pools: (Vec<Ipv4Addr>, Vec<Ipv6Addr>),
    /// Minimum number of frames that must come out per direction: proves that the listener works.
    pub(crate) min_frames: usize,
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

/// Address pools: the given addresses, unknown addresses, groups and link-local addresses.
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
    // The given addresses are as frequent as all others together.
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
