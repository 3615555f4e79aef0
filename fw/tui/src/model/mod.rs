//! What the console shows and how: view, filters, order, selection. Pure: time is an argument.

use std::sync::Arc;

use crate::change::Change;
use crate::data::{Data, Zero};
use crate::filter::Filter;
use crate::spark::Span;

/// Keys.
pub mod keys;
/// Orders of the lists.
pub mod orders;
/// Rows of the tables: filtered, sorted, keyed.
mod rows;

use keys::ChosenKeys;
pub use rows::{Keyed, shown_rows};

/// The views, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Everything on one screen.
    Overview,
    /// Rules.
    Rules,
    /// Packets as they come.
    Flows,
    /// The flow table.
    Conntrack,
    /// Drops by reason.
    Drops,
    /// Interfaces.
    Nics,
    /// Sources, targets, ports.
    Talkers,
    /// Blocks.
    Blocks,
    /// Changes of the policies.
    Changes,
    /// Findings and facts.
    Health,
}

impl View {
    /// All views; the last has the key 0.
    pub const ALL: [Self; 10] = [
        Self::Overview,
        Self::Rules,
        Self::Flows,
        Self::Conntrack,
        Self::Drops,
        Self::Nics,
        Self::Talkers,
        Self::Blocks,
        Self::Changes,
        Self::Health,
    ];

    /// Index in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The key that shows the view.
    pub fn key(self) -> char {
        char::from(b"1234567890"[self.index()])
    }

    /// Short and long name.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Overview => ("Over", "Overview"),
            Self::Rules => ("Rules", "Rules"),
            Self::Flows => ("Flows", "Flows"),
            Self::Conntrack => ("Conn", "Conntrack"),
            Self::Drops => ("Drops", "Drops"),
            Self::Nics => ("NICs", "Interfaces"),
            Self::Talkers => ("Talk", "Talkers"),
            Self::Blocks => ("Block", "Blocks"),
            Self::Changes => ("Chg", "Changes"),
            Self::Health => ("Hlth", "Health"),
        }
    }

    /// The view with this name, or with a name that begins so.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        let is_named = |view: &Self| {
            let (short, long) = view.names();
            !name.is_empty()
                && (short.to_lowercase() == name || long.to_lowercase().starts_with(&name))
        };
        Self::ALL.into_iter().find(is_named)
    }
}

/// Filter, order and selection of one view.
#[derive(Debug, Clone, Default)]
pub struct ListState {
    /// The filter.
    pub filter: Filter,
    /// Index of the column that rows are sorted by.
    pub sort: usize,
    /// Whether the order is reversed.
    pub is_reversed: bool,
    /// Key of the selected row.
    pub selected: Option<String>,
    /// Rows above the first visible one.
    pub offset: usize,
    /// Index of the set of columns; 0: the columns that fit.
    pub columns: usize,
}

/// A line that is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A filter.
    Filter(String),
    /// The name of a view.
    View(String),
    /// The beginning of the object of a change; its effect.
    Confirm(Change, String, String),
}

/// Places of the last screen, for the mouse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Line of the tabs.
    pub tab_line: usize,
    /// Columns of each tab.
    pub tabs: Vec<(std::ops::Range<usize>, View)>,
    /// Line of the first row of the list.
    pub first_row: usize,
}

/// A task of a key for the process: files, terminal, daemon, firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Writes the view to files.
    Save,
    /// Gives the terminal back until the process continues.
    Suspend,
    /// Asks the daemon about a connection.
    Explain(Question),
    /// Draws every cell again.
    Redraw,
    /// Changes the firewall.
    Change(Change),
}

/// Subject of a question to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A connection: source, destination, name of the protocol, destination port.
    Connection(std::net::IpAddr, std::net::IpAddr, String, u16),
    /// The last denials of a source.
    Source(std::net::IpAddr),
}

/// How old the data is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Age {
    /// Nothing has come yet.
    #[default]
    Unknown,
    /// A line comes each second.
    Live,
    /// Seconds since the last line.
    Stale(u64),
}

/// Everything that the screen depends on, but its size.
#[derive(Debug, Clone)]
pub struct Model {
    /// The newest data.
    pub data: Arc<Data>,
    /// The data that is shown while the screen is frozen, and for how many seconds it has been.
    pub frozen: Option<(Arc<Data>, u64)>,
    /// The view.
    pub view: View,
    /// By view.
    pub lists: [ListState; 10],
    /// Which list of talkers: source, target, port.
    pub talkers_by: usize,
    /// Whether the details of the selected row are shown.
    pub has_details: bool,
    /// Whether the help is shown.
    pub has_help: bool,
    /// First line of the help on the screen.
    pub help_offset: usize,
    /// The answer to a question, instead of the view: its title and its lines.
    pub answer: Option<(String, Vec<String>)>,
    /// Task of the last key for the process.
    pub request: Option<Request>,
    /// The counters that the screen subtracts; `None`: none.
    pub zero: Option<Zero>,
    /// Whether times are relative to now.
    pub has_ages: bool,
    /// Time range of sparklines.
    pub span: Span,
    /// Whether the terminal reports the mouse.
    pub has_mouse: bool,
    /// Whether keys may change the firewall.
    pub may_change: bool,
    /// Keys that the operator has chosen.
    pub keys: ChosenKeys,
    /// The line that is being typed.
    pub input: Option<Input>,
    /// A sentence about the last key.
    pub message: Option<String>,
    /// Age of the data.
    pub age: Age,
    /// Why there is no data, in a sentence.
    pub feed_problem: Option<String>,
    /// Day and time of the day, UTC.
    pub clock: (String, String),
    /// Rows of the list that the last screen had room for.
    pub page: usize,
    /// Lines of a view without rows, as Health, on the last screen.
    pub text_lines: usize,
    /// Where the last screen had its tabs and rows.
    pub frame: Frame,
    /// Whether to end.
    pub is_done: bool,
    /// Whether the last screen stays in the terminal at the end.
    pub leaves_screen: bool,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            data: Arc::default(),
            frozen: None,
            view: View::Overview,
            lists: Default::default(),
            talkers_by: 0,
            has_details: true,
            has_help: false,
            help_offset: 0,
            answer: None,
            request: None,
            zero: None,
            has_ages: false,
            span: Span::Minute,
            has_mouse: false,
            may_change: false,
            keys: ChosenKeys::new(),
            input: None,
            message: None,
            age: Age::Unknown,
            feed_problem: None,
            clock: Default::default(),
            page: 10,
            text_lines: 0,
            frame: Frame::default(),
            is_done: false,
            leaves_screen: false,
        }
    }
}

impl Model {
    /// The data on the screen.
    pub fn shown(&self) -> &Data {
        self.frozen.as_ref().map_or(&self.data, |(data, _)| data)
    }

    /// Makes this the newest data, with counters since the chosen moment.
    pub fn set_data(&mut self, mut data: Data) {
        if let Some(zero) = &self.zero {
            zero.subtract_from(&mut data);
        }
        self.data = Arc::new(data);
    }

    /// The state of the list of this view.
    pub fn list(&self) -> &ListState {
        &self.lists[self.view.index()]
    }

    /// The same, to change it.
    pub fn list_mut(&mut self) -> &mut ListState {
        &mut self.lists[self.view.index()]
    }
}
