use std::str::FromStr;

/// Preamble, start of frame and the gap between two frames, in bytes (IEEE 802.3).
pub const BETWEEN_FRAMES: u32 = 20;
/// The check sequence of a frame, which NICs add: sizes of RFC 2544 include it.
pub const CHECK_SEQUENCE: u32 = 4;
/// The longest frame of Ethernet without tags.
pub const LONGEST: u32 = 1518;

/// What the tester writes behind the UDP header: tag, number of the trial, number of the frame, queue that
/// sent it, and when it was due. As much as fits into 64 bytes.
pub const STAMP: usize = 18;
/// Bytes of the header of a frame.
pub(crate) const ETHERNET: usize = 14;
/// Bytes of the header of UDP.
pub(crate) const UDP: usize = 8;

/// IP's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The shortest frame that has room for what the tester writes into it.
    pub fn shortest(self) -> u32 {
        (ETHERNET + self.header_length() + UDP + STAMP) as u32 + CHECK_SEQUENCE
    }

    /// Bytes of its IP header.
    pub(crate) fn header_length(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}

/// One kind of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// With the check sequence, without what is between frames, in bytes.
    pub size: u32,
    /// Its family.
    pub family: Family,
    /// Is each of them the first of a flow?
    pub fresh: bool,
}

/// Frames that follow each other, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// What it was asked for by: `64`, `imix`.
    pub name: String,
    /// In the order in which they are sent.
    pub parts: Vec<Part>,
}

impl Mix {
    /// Frames of one size.
    ///
    /// # Errors
    /// If a frame of this family cannot be so short or so long.
    pub fn of_size(size: u32, family: Family) -> Result<Self, String> {
        let shortest = family.shortest();
        if !(shortest..=LONGEST).contains(&size) {
            return Err(format!(
                "a frame has {shortest} to {LONGEST} bytes, check sequence included; {size} is none of them"
            ));
        }
        let name = match family {
            Family::V4 => size.to_string(),
            Family::V6 => format!("{size}v6"),
        };
        let fresh = false;
        let parts = vec![Part {
            size,
            family,
            fresh,
        }];
        Ok(Self { name, parts })
    }

    /// Mean size, in bytes.
    pub fn mean_size(&self) -> f64 {
        let sum: u32 = self.parts.iter().map(|part| part.size).sum();
        f64::from(sum) / self.parts.len() as f64
    }

    /// Frames a second that a line of so many bits a second carries.
    pub fn line_rate(&self, bits: f64) -> f64 {
        bits / 8.0 / (self.mean_size() + f64::from(BETWEEN_FRAMES))
    }
}

/// Of this many, and so long: `(count, size, family, fresh)`.
type Share = (usize, u32, Family, bool);

/// Seven short frames, four of medium size and a long one: "simple IMIX", as RFC 6985 names it in genome
/// notation `aaaaaaadddde`, give or take sizes.
const IMIX: [Share; 3] = [
    (7, 64, Family::V4, false),
    (4, 594, Family::V4, false),
    (1, 1518, Family::V4, false),
];
/// Mixed as RFC 9411 asks (section 4.3: both families; 7.1: several kinds of traffic at once): what an
/// edge sees of datagrams. Four of five frames are IPv4, half are long, one in 50 is the first of a flow.
const EDGE: [Share; 7] = [
    (14, 1518, Family::V4, false),
    (8, 128, Family::V4, false),
    (8, 64, Family::V4, false),
    (9, 594, Family::V4, false),
    (1, 128, Family::V4, true),
    (6, 1518, Family::V6, false),
    (4, 128, Family::V6, false),
];
/// The same between machines: more IPv6, either long or short, one in 100 is the first of a flow.
const DATACENTER: [Share; 5] = [
    (30, 1518, Family::V4, false),
    (19, 64, Family::V4, false),
    (1, 64, Family::V4, true),
    (30, 1518, Family::V6, false),
    (20, 128, Family::V6, false),
];

/// What stands for frames on a command line.
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
                    .map_err(|_| format!("{text:?} is not {NAMES}"))?;
                return Self::of_size(size, family);
            }
        };
        Ok(Self {
            name: text.to_owned(),
            parts: spread(shares),
        })
    }
}

/// All of them, each kind as evenly among the others as it goes.
fn spread(shares: &[Share]) -> Vec<Part> {
    let mut placed = Vec::new();
    for &(count, size, family, fresh) in shares {
        let part = Part {
            size,
            family,
            fresh,
        };
        placed.extend((0..count).map(|n| ((n as f64 + 0.5) / count as f64, part)));
    }
    placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    placed.into_iter().map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_fill_a_line() {
        let ten_gigabit = 10e9;
        let shortest: Mix = "64".parse().unwrap();
        // The number that everybody knows.
        assert_eq!(shortest.line_rate(ten_gigabit).round(), 14_880_952.0);
        let longest: Mix = "1518".parse().unwrap();
        assert_eq!(longest.line_rate(ten_gigabit).round(), 812_744.0);
    }

    #[test]
    fn a_mix_has_its_shares_spread() {
        let imix: Mix = "imix".parse().unwrap();
        let sizes: Vec<u32> = imix.parts.iter().map(|part| part.size).collect();
        assert_eq!(sizes.iter().filter(|&&size| size == 64).count(), 7);
        assert_eq!(sizes.iter().filter(|&&size| size == 594).count(), 4);
        assert_eq!(sizes.iter().filter(|&&size| size == 1518).count(), 1);
        // Nothing comes twice in a row but the commonest.
        assert!(
            sizes
                .windows(2)
                .all(|pair| pair[0] != pair[1] || pair[0] == 64)
        );
        let edge: Mix = "edge".parse().unwrap();
        assert_eq!(edge.parts.len(), 50);
        assert_eq!(edge.parts.iter().filter(|part| part.fresh).count(), 1);
    }

    #[test]
    fn what_is_no_frame_is_refused_with_what_is_one() {
        let error = |text: &str| text.parse::<Mix>().unwrap_err();
        assert!(error("63").contains("64 to 1518"));
        assert!(error("64v6").contains("84 to 1518"));
        assert!(error("jumbo").contains("imix, edge, or datacenter"));
        assert_eq!("84v6".parse::<Mix>().unwrap().name, "84v6");
    }
}
