//! Verdicts of the loaded programs on single frames, without side effects.

use aya::programs::{TestRun, TestRunOptions, Xdp};
use bailey_bpf::abi;
use bailey_bpf::reason::Reason;

use crate::error::DatapathError;
use crate::program::entry::EntryObject;
use crate::program::handles::program;

/// The verdict on the first packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Whether the packet passes.
    pub passes: bool,
    /// Id of the reason that it would be counted under.
    pub reason: u32,
    /// The deciding cells, egress and ingress, if policy was evaluated.
    pub cells: Option<(u32, u32)>,
}

impl ProbeAnswer {
    /// Name of the reason.
    pub fn reason_name(&self) -> &'static str {
        Reason::of(self.reason).map_or("unknown", |reason| reason.name)
    }
}

impl From<abi::probe_answer> for ProbeAnswer {
    fn from(answer: abi::probe_answer) -> Self {
        let evaluated = answer.steps & abi::PROBE_EVALUATED != 0;
        Self {
            passes: answer.verdict == abi::VERDICT_PASS,
            reason: answer.reason,
            cells: evaluated.then_some((answer.egress, answer.ingress)),
        }
    }
}

/// Evaluates a frame of at least 14 bytes as if the flow table were empty. Writes and counts
/// nothing.
///
/// # Errors
/// If the kernel refuses the test run, or the program does not answer.
pub(crate) fn probe_frame(
    entry: &EntryObject,
    frame: &[u8],
) -> Result<abi::probe_answer, DatapathError> {
    let program: &Xdp = program(&entry.ebpf, "entry_probe")?;
    let mut out = vec![0_u8; frame.len() + size_of::<abi::probe_answer>()];
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.data_out = Some(&mut out);
    program
        .test_run(options)
        .map_err(DatapathError::program("entry_probe"))?;
    answer_in(&out)
}

/// The answer in front of a probed frame.
///
/// # Errors
/// If there is none.
pub(crate) fn answer_in(out: &[u8]) -> Result<abi::probe_answer, DatapathError> {
    out.get(..size_of::<abi::probe_answer>())
        .map(bytemuck::pod_read_unaligned)
        .filter(|answer: &abi::probe_answer| answer.magic == abi::PROBE_MAGIC)
        .ok_or_else(|| DatapathError::Probe("the program left no answer".into()))
}
