use aya::programs::{TestRun, TestRunOptions, Xdp};
use bailey_bpf::abi;
use bailey_bpf::reason::Reason;
use bailey_policy::Connection;

use crate::datapath::Datapath;
use crate::error::DatapathError;
use crate::program::frame;
use crate::program::handles::program;

/// What the loaded program says of the opening of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Would the packet pass?
    pub passes: bool,
    /// Under which reason it would be counted.
    pub reason: u32,
    /// The deciding cells, egress and ingress, if policy was asked at all.
    pub cells: Option<(u32, u32)>,
}

impl Answer {
    /// The name of the reason.
    pub fn reason_name(&self) -> &'static str {
        Reason::of(self.reason).map_or("unknown", |reason| reason.name)
    }
}

impl Datapath {
    /// Judges the opening of a connection with the programs of the generation in force, as if the
    /// flow table were empty. Writes and counts nothing.
    ///
    /// # Errors
    /// If the kernel refuses the test run, or the program does not answer.
    pub fn probe(&self, connection: &Connection) -> Result<Answer, DatapathError> {
        self.probe_frame(&frame::opening(connection))
    }

    /// Judges a frame of at least 14 bytes, likewise.
    ///
    /// # Errors
    /// As [`Self::probe`].
    pub fn probe_frame(&self, frame: &[u8]) -> Result<Answer, DatapathError> {
        let answer = self.probe_raw(frame)?;
        let judged = answer.steps & abi::PROBE_EVALUATED != 0;
        Ok(Answer {
            passes: answer.verdict == abi::VERDICT_PASS,
            reason: answer.reason,
            cells: judged.then_some((answer.egress, answer.ingress)),
        })
    }

    /// Everything that the program says of a frame of at least 14 bytes.
    ///
    /// # Errors
    /// As [`Self::probe`].
    pub fn probe_raw(&self, frame: &[u8]) -> Result<abi::probe_answer, DatapathError> {
        let program: &Xdp = program(&self.shared.entry, "entry_probe")?;
        let mut out = vec![0_u8; frame.len() + size_of::<abi::probe_answer>()];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.data_out = Some(&mut out);
        program
            .test_run(options)
            .map_err(DatapathError::program("entry_probe"))?;
        out.get(..size_of::<abi::probe_answer>())
            .map(bytemuck::pod_read_unaligned)
            .filter(|answer: &abi::probe_answer| answer.magic == abi::PROBE_MAGIC)
            .ok_or_else(|| DatapathError::Probe("the program left no answer".into()))
    }
}
