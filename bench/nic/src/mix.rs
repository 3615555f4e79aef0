//! Mixes of frame sizes, such as IMIX.

use std::str::FromStr;

use crate::headers::{Family, INTERFRAME_BYTES, MAX_FRAME_BYTES};

/// Size and family of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameKind {
    /// Bytes with FCS, without preamble and interframe gap.
    pub size: u32,
    /// The IP version.
    pub family: Family,
    /// Whether each frame of this kind starts a new flow.
    pub new_flow: bool,
}

/// A sequence of frames that a sender repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// The name on the command line: `64`, `imix`.
    pub name: String,
    /// The frames, in the order of sending.
    pub frames: Vec<FrameKind>,
}

impl Mix {
    /// Frames of one size.
    ///
    /// # Errors
    /// If a frame of this family cannot have this size.
    pub fn with_size(size: u32, family: Family) -> Result<Self, String> {
        let shortest = family.shortest();
        if !(shortest..=MAX_FRAME_BYTES).contains(&size) {
            return Err(format!(
                "frame size must be {shortest} to {MAX_FRAME_BYTES} bytes with FCS, got {size}"
            ));
        }
        let name = match family {
            Family::V4 => size.to_string(),
            Family::V6 => format!("{size}v6"),
        };
        let new_flow = false;
        let frames = vec![FrameKind {
            size,
            family,
            new_flow,
        }];
        Ok(Self { name, frames })
    }

    /// Mean frame size, in bytes with FCS.
    pub fn mean_size(&self) -> f64 {
        let sum: u32 = self.frames.iter().map(|kind| kind.size).sum();
        f64::from(sum) / self.frames.len() as f64
    }

    /// Line rate in frames per second of a link with this speed in bits per second.
    pub fn line_rate(&self, bits: f64) -> f64 {
        bits / 8.0 / (self.mean_size() + f64::from(INTERFRAME_BYTES))
    }
}

/// Frames of one kind in a mix: `(count, size, family, new_flow)`.
type Share = (usize, u32, Family, bool);

/// "Simple IMIX": seven short frames, four medium frames and one long frame. RFC 6985 writes the
/// mix as genome `aaaaaaadddde`; the sizes differ slightly.
const IMIX: [Share; 3] = [
    (7, 64, Family::V4, false),
    (4, 594, Family::V4, false),
    (1, 1518, Family::V4, false),
];
/// Datagrams at a network edge, mixed as RFC 9411 requires (section 4.3: both families; 7.1:
/// several kinds of traffic at once). 80 % of the frames are IPv4, 40 % are long, 1 in 50 starts a
/// flow.
const EDGE: [Share; 7] = [
    (14, 1518, Family::V4, false),
    (8, 128, Family::V4, false),
    (8, 64, Family::V4, false),
    (9, 594, Family::V4, false),
    (1, 128, Family::V4, true),
    (6, 1518, Family::V6, false),
    (4, 128, Family::V6, false),
];
/// Datagrams between servers: half IPv6, long or short frames only, 1 in 100 starts a flow.
const DATACENTER: [Share; 5] = [
    (30, 1518, Family::V4, false),
    (19, 64, Family::V4, false),
    (1, 64, Family::V4, true),
    (30, 1518, Family::V6, false),
    (20, 128, Family::V6, false),
];

/// Values that the command line accepts.
const NAMES: &str = "a size in bytes (64), one of IPv6 (128v6), imix, edge, or datacenter";

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shares: &[Share] = match text {
            "imix" => &IMIX,
            "edge" => &EDGE,
            "datacenter" => &DATACENTER,
            size => {
                let (digits, family) = match size.strip_suffix("v6") {
                    Some(digits) => (digits, Family::V6),
                    None => (size, Family::V4),
                };
                let size = digits
                    .parse()
                    .map_err(|_| format!("unknown mix {text:?}; use {NAMES}"))?;
                return Self::with_size(size, family);
            }
        };
        Ok(Self {
            name: text.to_owned(),
            frames: spread(shares),
        })
    }
}

/// The frames of a mix, with each kind spread evenly over the sequence.
fn spread(shares: &[Share]) -> Vec<FrameKind> {
    let mut placed = Vec::new();
    for &(count, size, family, new_flow) in shares {
        let kind = FrameKind {
            size,
            family,
            new_flow,
        };
        placed.extend((0..count).map(|n| ((n as f64 + 0.5) / count as f64, kind)));
    }
    placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    placed.into_iter().map(|(_, kind)| kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_rate_matches_known_values() {
        let ten_gigabit = 10e9;
        let shortest: Mix = "64".parse().unwrap();
        // The well-known rate of 64-byte frames at 10 Gbit/s.
        assert_eq!(shortest.line_rate(ten_gigabit).round(), 14_880_952.0);
        let longest: Mix = "1518".parse().unwrap();
        assert_eq!(longest.line_rate(ten_gigabit).round(), 812_744.0);
    }

    #[test]
    fn mix_spreads_its_frame_kinds_evenly() {
        let imix: Mix = "imix".parse().unwrap();
        let sizes: Vec<u32> = imix.frames.iter().map(|kind| kind.size).collect();
        assert_eq!(sizes.iter().filter(|&&size| size == 64).count(), 7);
        assert_eq!(sizes.iter().filter(|&&size| size == 594).count(), 4);
        assert_eq!(sizes.iter().filter(|&&size| size == 1518).count(), 1);
        // Only the most frequent size may repeat.
        assert!(
            sizes
                .windows(2)
                .all(|pair| pair[0] != pair[1] || pair[0] == 64)
        );
        let edge: Mix = "edge".parse().unwrap();
        assert_eq!(edge.frames.len(), 50);
        assert_eq!(edge.frames.iter().filter(|kind| kind.new_flow).count(), 1);
    }

    #[test]
    fn invalid_size_is_rejected_with_valid_range() {
        let error = |text: &str| text.parse::<Mix>().unwrap_err();
        assert!(error("63").contains("64 to 1518"));
        assert!(error("64v6").contains("84 to 1518"));
        assert!(error("jumbo").contains("imix, edge, or datacenter"));
        assert_eq!("84v6".parse::<Mix>().unwrap().name, "84v6");
    }
}
