//! Actions of keys.

use crate::model::View;

/// The action of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Shows a view.
    Show(View),
    /// Shows the next view, or the one before.
    Cycle(isize),
    /// Types the name of a view.
    TypeView,
    /// Types a filter.
    TypeFilter,
    /// Moves the selection by so many rows.
    Move(isize),
    /// Moves by half or whole pages, in halves.
    Page(isize),
    /// Moves to the first or the last row.
    End(bool),
    /// From a pane or a row into its view.
    Enter,
    /// Closes what is open, or clears the filter; never quits.
    Back,
    /// Shows or hides details.
    Details,
    /// Sorts by the next column.
    Sort,
    /// Reverses the order.
    Reverse,
    /// Holds the screen still.
    Freeze,
    /// The next list of talkers.
    TalkersBy,
    /// Shows or hides the help.
    Help,
    /// Draws everything again.
    Redraw,
    /// Counters since now, or all.
    Zero,
    /// Times of the day, or ages.
    Ages,
    /// Sparklines of a longer or shorter time.
    Span(bool),
    /// The next choice of columns.
    Columns,
    /// Asks the daemon about the selected row.
    Explain,
    /// Writes the view to files.
    Save,
    /// The mouse.
    Mouse,
    /// Gives the terminal back for a while.
    Suspend,
    /// Ends.
    Quit,
    /// Ends, and leaves the screen in the terminal.
    Leave,
    /// Changes the firewall, with `--rw`.
    Change(ChangeKey),
    /// Changes that the daemon does not know.
    Missing,
    /// Explains the alert.
    Why,
}

/// Keys that change the firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKey {
    /// Blocks the selected source.
    Block,
    /// Ends the selected flow.
    EndFlows,
}
