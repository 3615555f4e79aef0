/// What new flows may come in through NICs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flood {
    /// Do clients prove themselves while there are more than that?
    pub defend: bool,
    /// New flows per second, on all CPUs together; 0: an eighth of the table's slots.
    pub new_flows: u32,
    /// New flows per second of one source (/32, /64), during a flood; 0: any.
    pub source_new_flows: u32,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            defend: true,
            new_flows: 0,
            source_new_flows: 1000,
        }
    }
}
