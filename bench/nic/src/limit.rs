use std::fmt::{self, Display, Formatter};

use crate::mix::Mix;
use crate::port::Port;
use crate::trial::Outcome;

/// What keeps a measurement from more.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// All of the line, and nothing was lost.
    Line {
        /// In megabits a second.
        speed: u64,
    },
    /// All that was asked for, which is less than the line.
    Asked {
        /// In frames a second.
        rate: f64,
    },
    /// The slot of a NIC.
    Slot {
        /// Which NIC.
        port: String,
        /// What went through it, of what it carries, in percent.
        percent: f64,
    },
    /// The sender.
    SendingCore {
        /// What it reached, in frames a second.
        rate: f64,
    },
    /// The receiver.
    ReceivingCore {
        /// Frames that it had no room for.
        frames: u64,
    },
    /// The NIC that receives.
    ReceivingNic {
        /// Frames that it dropped.
        frames: u64,
    },
    /// What is measured.
    Between {
        /// Frames that did not come back.
        frames: u64,
        /// Of so many.
        of: u64,
    },
}

/// Bytes that go over PCI Express beside each frame: a descriptor to read and one to write, and the
/// headers of four transactions.
const BESIDE_FRAME: f64 = 16.0 + 16.0 + 4.0 * 24.0;
/// From here on a line counts as full.
const NEARLY: f64 = 0.99;
/// From here on a slot counts as full.
const FULL: f64 = 0.85;

/// Judges by the trial that went as fast as it could. The tester's own limits come first: what they cost
/// says nothing of what is measured.
pub fn limit(fastest: &Outcome, mix: &Mix, [sending, receiving]: [&Port; 2]) -> Limit {
    let sockets = fastest.sockets.ring_full + fastest.sockets.no_buffer + fastest.sockets.other;
    if sockets > 0 {
        return Limit::ReceivingCore { frames: sockets };
    }
    for port in [sending, receiving] {
        let bits = fastest.offered() * (mix.mean_size() + BESIDE_FRAME) * 8.0;
        if let Some(slot) = &port.slot
            && bits > slot.bits() * FULL
        {
            return Limit::Slot {
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
    if fastest.lost() > 0 {
        return Limit::Between {
            frames: fastest.lost(),
            of: fastest.sent,
        };
    }
    let rate = fastest.offered();
    if fastest.fell_short() {
        return Limit::SendingCore { rate };
    }
    match sending.speed {
        Some(speed) if rate >= mix.line_rate(speed as f64 * 1e6) * NEARLY => Limit::Line { speed },
        _ => Limit::Asked { rate },
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { speed } => write!(f, "the line: {speed} Mbit/s are full"),
            Self::Asked { rate } => write!(
                f,
                "--rate: {:.3} million frames a second are all that was asked for",
                rate / 1e6
            ),
            Self::Slot { port, percent } => {
                write!(f, "PCIe: the slot of {port} is full to {percent:.0} %")
            }
            Self::SendingCore { rate } => write!(
                f,
                "the tester's sending core: {:.3} million frames a second are all that it reaches",
                rate / 1e6
            ),
            Self::ReceivingCore { frames } => write!(
                f,
                "the tester's receiving core: it had no room for {frames} frames"
            ),
            Self::ReceivingNic { frames } => write!(
                f,
                "the receiving NIC or its slot: it dropped {frames} frames"
            ),
            Self::Between { frames, of } => write!(
                f,
                "what is measured: of {of} frames {frames} did not come back"
            ),
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

    fn outcome(wanted: f64, sent: u64, received: u64) -> Outcome {
        let second = Duration::from_secs(1);
        trial::outcome(Load::steady(wanted, second), sent, second, received)
    }

    #[test]
    fn each_limit_is_told_by_its_sign() {
        let mix: Mix = "64".parse().unwrap();
        let plain = port(Some(1000), None);
        let gigabit = mix.line_rate(1e9) as u64;
        let told = |outcome: &Outcome, port: &Port| limit(outcome, &mix, [port, port]).to_string();

        let full = outcome(gigabit as f64, gigabit, gigabit);
        assert_eq!(told(&full, &plain), "the line: 1000 Mbit/s are full");
        let asked = outcome(1e5, 100_000, 100_000);
        assert!(told(&asked, &plain).starts_with("--rate: 0.100 million"));
        let slow = outcome(1e6, 400_000, 400_000);
        assert!(told(&slow, &plain).contains("0.400 million frames"));
        let lossy = outcome(1e6, 1_000_000, 900_000);
        assert!(told(&lossy, &plain).contains("of 1000000 frames 100000"));
        let mut missed = lossy;
        missed.dropped = 5;
        assert!(told(&missed, &plain).contains("NIC or its slot: it dropped 5"));
        missed.sockets.ring_full = 7;
        assert!(told(&missed, &plain).contains("no room for 7"));
        let narrow = Slot {
            transfers: 2.5e9,
            lanes: 1.0,
        };
        let plugged = port(Some(10_000), Some(narrow));
        let fast = outcome(1.2e6, 1_200_000, 1_200_000);
        assert!(told(&fast, &plugged).starts_with("PCIe: the slot of eth1"));
    }
}
