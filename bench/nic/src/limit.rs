//! Finds the component that limits a measurement.

use std::fmt::{self, Display, Formatter};

use crate::mix::Mix;
use crate::port::Port;
use crate::trial::TrialOutcome;

/// The component that limits the rate of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// The link is at line rate, without loss.
    LineRate {
        /// Link speed in Mbit/s.
        speed: u64,
    },
    /// The requested rate, which is below line rate.
    RequestedRate {
        /// Frames per second.
        rate: f64,
    },
    /// The PCIe slot of a NIC.
    PcieSlot {
        /// The NIC.
        port: String,
        /// Utilization of the slot, in percent.
        percent: f64,
    },
    /// A sending thread of the tester.
    SendingCore {
        /// The rate that the sender reached, in frames per second.
        rate: f64,
    },
    /// A receiving thread of the tester.
    ReceivingCore {
        /// Frames that found no free buffer or ring slot.
        frames: u64,
    },
    /// The receiving NIC.
    ReceivingNic {
        /// Frames that the NIC dropped.
        frames: u64,
    },
    /// The device under test.
    DeviceUnderTest {
        /// Lost frames.
        frames: u64,
        /// Sent frames.
        of: u64,
    },
}

/// PCIe bytes per frame in addition to the frame: one descriptor read, one descriptor written, and
/// the headers of four transactions.
const PCIE_OVERHEAD_BYTES: f64 = 16.0 + 16.0 + 4.0 * 24.0;
/// Share of line rate from which a link counts as full.
const FULL_LINE: f64 = 0.99;
/// Share of the slot's bandwidth from which a slot counts as full.
const FULL_SLOT: f64 = 0.85;

/// Finds the limit of the fastest trial. Limits of the tester take precedence: frames that the
/// tester loses say nothing about the device under test.
pub fn find_limit(fastest: &TrialOutcome, mix: &Mix, [sending, receiving]: [&Port; 2]) -> Limit {
    // The tester's receiver, then the PCIe slots and the receiving NIC.
    let sockets = fastest.sockets.ring_full + fastest.sockets.no_buffer + fastest.sockets.other;
    if sockets > 0 {
        return Limit::ReceivingCore { frames: sockets };
    }
    for port in [sending, receiving] {
        let bits = fastest.offered() * (mix.mean_size() + PCIE_OVERHEAD_BYTES) * 8.0;
        if let Some(slot) = &port.slot
            && bits > slot.bits() * FULL_SLOT
        {
            return Limit::PcieSlot {
                port: port.name.clone(),
                percent: bits / slot.bits() * 100.0,
            };
        }
    }
    if fastest.dropped > 0 {
        return Limit::ReceivingNic {
            frames: fastest.dropped,
        };
    }
    // The device under test, then the sender and the link.
    if fastest.lost() > 0 {
        return Limit::DeviceUnderTest {
            frames: fastest.lost(),
            of: fastest.sent,
        };
    }
    let rate = fastest.offered();
    if fastest.is_below_load() {
        return Limit::SendingCore { rate };
    }
    match sending.speed {
        Some(speed) if rate >= mix.line_rate(speed as f64 * 1e6) * FULL_LINE => {
            Limit::LineRate { speed }
        }
        _ => Limit::RequestedRate { rate },
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineRate { speed } => write!(f, "line rate: {speed} Mbit/s link is full"),
            Self::RequestedRate { rate } => write!(
                f,
                "--rate: {:.3} million frames per second were requested",
                rate / 1e6
            ),
            Self::PcieSlot { port, percent } => {
                write!(f, "PCIe: the slot of {port} is {percent:.0} % utilized")
            }
            Self::SendingCore { rate } => write!(
                f,
                "the tester's sending core: it reaches {:.3} million frames per second",
                rate / 1e6
            ),
            Self::ReceivingCore { frames } => write!(
                f,
                "the tester's receiving core: {frames} frames found no buffer"
            ),
            Self::ReceivingNic { frames } => {
                write!(f, "the receiving NIC or its slot: {frames} frames dropped")
            }
            Self::DeviceUnderTest { frames, of } => {
                write!(f, "the device under test: {frames} of {of} frames lost")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bailey_datapath::Queues;

    use super::*;
    use crate::port::Slot;
    use crate::trial::{self, Load};

    fn port(speed: Option<u64>, slot: Option<Slot>) -> Port {
        Port {
            name: "eth1".into(),
            index: 1,
            mac: [0; 6],
            queues: Queues {
                receiving: 1,
                sending: 1,
            },
            speed,
            slot,
        }
    }

    fn outcome(wanted: f64, sent: u64, received: u64) -> TrialOutcome {
        let second = Duration::from_secs(1);
        trial::outcome(Load::steady(wanted, second), sent, second, received)
    }

    #[test]
    fn each_symptom_names_its_limit() {
        let mix: Mix = "64".parse().unwrap();
        let plain = port(Some(1000), None);
        let gigabit = mix.line_rate(1e9) as u64;
        let text = |outcome: &TrialOutcome, port: &Port| {
            find_limit(outcome, &mix, [port, port]).to_string()
        };

        let full = outcome(gigabit as f64, gigabit, gigabit);
        assert_eq!(text(&full, &plain), "line rate: 1000 Mbit/s link is full");
        let asked = outcome(1e5, 100_000, 100_000);
        assert!(text(&asked, &plain).starts_with("--rate: 0.100 million"));
        let slow = outcome(1e6, 400_000, 400_000);
        assert!(text(&slow, &plain).contains("0.400 million frames"));
        let lossy = outcome(1e6, 1_000_000, 900_000);
        assert!(text(&lossy, &plain).contains("100000 of 1000000 frames lost"));
        let mut missed = lossy;
        missed.dropped = 5;
        assert!(text(&missed, &plain).contains("NIC or its slot: 5 frames dropped"));
        missed.sockets.ring_full = 7;
        assert!(text(&missed, &plain).contains("7 frames found no buffer"));
        let narrow = Slot {
            transfers: 2.5e9,
            lanes: 1.0,
        };
        let plugged = port(Some(10_000), Some(narrow));
        let fast = outcome(1.2e6, 1_200_000, 1_200_000);
        assert!(text(&fast, &plugged).starts_with("PCIe: the slot of eth1"));
    }
}
