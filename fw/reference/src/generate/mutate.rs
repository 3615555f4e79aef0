//! Mutations of a frame.

use super::random::Random;

/// Byte values with a meaning in some field: versions, protocols, lengths, flags.
const INTERESTING: [u8; 24] = [
    0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x07, 0x08, 0x11, 0x20, 0x2b, 0x2c, 0x33, 0x3a, 0x3c, 0x45,
    0x46, 0x60, 0x7f, 0x80, 0x81, 0x84, 0xfe, 0xff,
];

/// Mutates a frame one to three times.
pub(super) fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = pick_position(frame, random);
        match random.below(10) {
            0..3 if at < frame.len() => frame[at] ^= 1 << random.below(8),
            3..6 if at < frame.len() => frame[at] = random.pick(&INTERESTING),
            6 => frame.truncate(at),
            7 => {
                let byte = random.pick(&INTERESTING);
                frame.resize(frame.len() + random.below(64), byte);
            }
            8 => {
                let end = (at + random.below(32)).min(frame.len());
                let slice = frame[at..end].to_vec();
                frame.splice(at..at, slice);
            }
            9 => {
                let end = (at + random.below(32)).min(frame.len());
                frame.drain(at..end);
            }
            _ => {}
        }
    }
}

/// A position for a mutation, mostly within the headers.
fn pick_position(frame: &[u8], random: &mut Random) -> usize {
    let bound = if random.one_in(3) {
        frame.len()
    } else {
        frame.len().min(96)
    };
    random.below(bound + 1)
}
