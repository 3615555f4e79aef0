//! The frames whose cost is recorded.

use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::malformed::{Fragment, fragment, ipv6_chain, tagged};
use bailey_policy::Protocol;

use super::{ACK, CLIENT, POD, STRANGER, SYN, SYN_ACK, ip};

/// A frame whose cost is recorded.
pub(super) struct Fixture {
    pub(super) name: String,
    /// Frames that prepare flows and records.
    pub(super) before: Vec<(Hook, Vec<u8>)>,
    pub(super) hook: Hook,
    pub(super) frame: Vec<u8>,
    /// Whether the frame passes.
    pub(super) passes: bool,
}

/// All fixtures.
pub(super) fn all() -> Vec<Fixture> {
    let mut fixtures = Vec::new();
    for index in [0, 1] {
        let family = Family { index };
        fixtures.extend(family.of_a_connection());
        fixtures.extend(family.without_a_flow());
        fixtures.extend(family.fragments());
    }
    fixtures.push(extension_headers());
    fixtures
}

/// Builds the fixtures of IPv4 (index 0) or IPv6 (index 1).
struct Family {
    index: usize,
}

impl Family {
    fn fixture(
        &self,
        name: &str,
        before: &[(Hook, Vec<u8>)],
        hook: Hook,
        frame: Vec<u8>,
        passes: bool,
    ) -> Fixture {
        Fixture {
            name: format!("{}.{name}", ["ipv4", "ipv6"][self.index]),
            before: before.to_vec(),
            hook,
            frame,
            passes,
        }
    }

    /// A TCP segment from the client to the pod.
    fn to_pod(&self, flags: u8) -> Vec<u8> {
        let (client, pod) = (ip(CLIENT[self.index]), ip(POD[self.index]));
        frame::ip(client, pod, Protocol::TCP, &frame::tcp(40000, 80, flags))
    }

    /// A TCP segment from the pod to the client.
    fn to_client(&self, flags: u8) -> Vec<u8> {
        let (client, pod) = (ip(CLIENT[self.index]), ip(POD[self.index]));
        frame::ip(pod, client, Protocol::TCP, &frame::tcp(80, 40000, flags))
    }

    /// A segment of TCP from a source that policy does not allow.
    fn stranger_packet(&self, flags: u8) -> Vec<u8> {
        let (stranger, pod) = (ip(STRANGER[self.index]), ip(POD[self.index]));
        frame::ip(stranger, pod, Protocol::TCP, &frame::tcp(1, 80, flags))
    }

    /// Packets of an established connection.
    fn of_a_connection(&self) -> Vec<Fixture> {
        let (client, pod) = (ip(CLIENT[self.index]), ip(POD[self.index]));
        let handshake = [
            (Hook::Xdp, self.to_pod(SYN)),
            (Hook::Tc, self.to_client(SYN_ACK)),
            (Hook::Xdp, self.to_pod(ACK)),
        ];
        let vlan = tagged(&self.to_pod(ACK), &[(0x8100, 7)]);
        // An ICMP error of the pod: the packet is too large.
        let (protocol, kind) = [(Protocol::ICMP, 3), (Protocol::ICMPV6, 1)][self.index];
        let mut error = vec![kind, 4, 0, 0, 0, 0, 5, 0];
        error.extend(&self.to_pod(ACK)[14..]);
        let error = frame::ip(pod, client, protocol, &error);
        vec![
            self.fixture("established", &handshake, Hook::Xdp, self.to_pod(ACK), true),
            self.fixture(
                "established-tc",
                &handshake,
                Hook::Tc,
                self.to_client(ACK),
                true,
            ),
            self.fixture("established-vlan", &handshake, Hook::Xdp, vlan, true),
            self.fixture("icmp-error", &handshake, Hook::Tc, error, true),
        ]
    }

    /// Packets without a flow, which are dropped.
    fn without_a_flow(&self) -> Vec<Fixture> {
        let (stranger, pod) = (ip(STRANGER[self.index]), ip(POD[self.index]));
        let udp = frame::ip(stranger, pod, Protocol::UDP, &frame::udp(40000, 80));
        let mut truncated = self.to_pod(ACK);
        truncated.truncate(30);
        vec![
            self.fixture(
                "denied-tcp",
                &[],
                Hook::Xdp,
                self.stranger_packet(SYN),
                false,
            ),
            self.fixture("denied-udp", &[], Hook::Xdp, udp, false),
            self.fixture(
                "stray-ack",
                &[],
                Hook::Xdp,
                self.stranger_packet(ACK),
                false,
            ),
            self.fixture("truncated", &[], Hook::Xdp, truncated, false),
        ]
    }

    /// Later fragments, with and without the first one.
    fn fragments(&self) -> Vec<Fixture> {
        let (client, pod) = (ip(CLIENT[self.index]), ip(POD[self.index]));
        let mut datagram = frame::udp(40000, 80);
        datagram.resize(64, 0);
        let part = |id, offset, more| {
            let part = Fragment { id, offset, more };
            fragment(client, pod, Protocol::UDP, part, &datagram)
        };
        let first = [(Hook::Xdp, part(1, 0, true))];
        vec![
            self.fixture(
                "fragment-later",
                &first,
                Hook::Xdp,
                part(1, 64, false),
                true,
            ),
            self.fixture("fragment-stray", &[], Hook::Xdp, part(2, 64, false), false),
        ]
    }
}

/// A denied packet with the largest number of extension headers.
fn extension_headers() -> Fixture {
    let options = vec![(60, vec![0, 0, 1, 4, 0, 0, 0, 0]); 8];
    let segment = frame::tcp(1, 80, SYN);
    let (stranger, pod) = (ip(STRANGER[1]), ip(POD[1]));
    Fixture {
        name: "ipv6.eight-extension-headers".into(),
        before: Vec::new(),
        hook: Hook::Xdp,
        frame: ipv6_chain(stranger, pod, &options, Protocol::TCP, &segment),
        passes: false,
    }
}
