//! Signs and colours: those of the terminal, and ASCII where the locale has nothing else.

use ratatui::style::{Color, Modifier, Style};

/// Colours by what they mean, of the terminal's own sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    /// Allowed, healthy.
    pub good: Color,
    /// Denied, wrong.
    pub bad: Color,
    /// Attention.
    pub warning: Color,
    /// Less important.
    pub faint: Color,
}

impl Default for Colours {
    fn default() -> Self {
        Self {
            good: Color::Green,
            bad: Color::Red,
            warning: Color::Yellow,
            faint: Color::DarkGray,
        }
    }
}

/// Signs for bars, sparklines and marks, and whether there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Only ASCII characters.
    pub is_ascii: bool,
    /// No colours.
    pub is_plain: bool,
    /// The colours.
    pub colours: Colours,
}

impl Look {
    /// Levels of sparklines.
    pub fn levels(self) -> [char; 8] {
        match self.is_ascii {
            true => ['.', '.', ':', '-', '=', '+', '*', '#'],
            false => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        }
    }

    /// Parts of gauges: live, closing, half-open, free.
    pub fn fills(self) -> [char; 4] {
        match self.is_ascii {
            true => ['#', '=', '-', '.'],
            false => ['█', '▓', '▒', '░'],
        }
    }

    /// A rule across the screen.
    pub fn rule(self) -> char {
        if self.is_ascii { '-' } else { '─' }
    }

    /// A mark in a gauge.
    pub fn mark(self) -> char {
        if self.is_ascii { '|' } else { '│' }
    }

    /// Before the selected row.
    pub fn selected(self) -> char {
        if self.is_ascii { '>' } else { '▌' }
    }

    /// Order of a column.
    pub fn arrow(self, is_reversed: bool) -> char {
        match (self.is_ascii, is_reversed) {
            (true, false) => 'v',
            (true, true) => '^',
            (false, false) => '↓',
            (false, true) => '↑',
        }
    }

    /// Before a time that runs out.
    pub fn hourglass(self) -> char {
        if self.is_ascii { '%' } else { '⧗' }
    }

    fn colour(self, colour: Color) -> Style {
        match self.is_plain {
            true => Style::new(),
            false => Style::new().fg(colour),
        }
    }

    /// Allowed, healthy.
    pub fn good(self) -> Style {
        self.colour(self.colours.good)
    }

    /// Denied, wrong.
    pub fn bad(self) -> Style {
        self.colour(self.colours.bad)
    }

    /// Attention.
    pub fn warning(self) -> Style {
        self.colour(self.colours.warning)
    }

    /// Less important.
    pub fn faint(self) -> Style {
        self.colour(self.colours.faint)
    }

    /// Headers, the chosen tab, the selected row.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// An alert across the screen.
    pub fn alert(self) -> Style {
        self.bad().add_modifier(Modifier::BOLD)
    }
}
