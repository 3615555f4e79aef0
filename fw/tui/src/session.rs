//! The model of a running console: news, keys and time come in, screens go out. No terminal.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use ratatui::text::Line;

use crate::data::{Data, Flow, Packet};
use crate::feed::{KEPT, News};
use crate::flow_ends::FlowEnds;
use crate::model::{Age, Model, Request, View};
use crate::update::{Key, on_key};
use crate::view::{Canvas, frame_of, rows_of, screen};

/// Age at which data is stale.
const FRESH: Duration = Duration::from_millis(2500);

/// A console without its terminal.
#[derive(Debug, Default)]
pub struct Session {
    model: Model,
    state: Data,
    packets: VecDeque<Packet>,
    /// Number of the next packet.
    next_packet: u64,
    flows: Option<Vec<Flow>>,
    ends: FlowEnds,
    /// When the last state came.
    seen: Option<Instant>,
    frozen_at: Option<Instant>,
    /// Whether news came since the last screen.
    is_changed: bool,
    has_zero: bool,
}

impl Session {
    /// A console that begins with this view.
    pub fn new(view: View) -> Self {
        Self {
            model: Model {
                view,
                ..Model::default()
            },
            ..Self::default()
        }
    }

    /// Takes news that came at this time.
    pub fn accept(&mut self, news: News, at: Instant) {
        match news {
            News::State(data) => {
                self.state = *data;
                self.seen = Some(at);
                self.model.feed_problem = None;
            }
            News::PacketsBegin => self.packets.clear(),
            News::Packets(packets) => {
                for packet in packets {
                    let number = self.next_packet;
                    self.next_packet += 1;
                    self.packets.push_front(Packet { number, ..packet });
                }
                self.packets.truncate(KEPT);
            }
            News::Flows(flows) => self.flows = Some(flows),
            News::FlowTop(lists) => self.ends.count(lists, at),
            News::Problem(problem) => self.model.feed_problem = Some(problem),
            News::Said(message) => self.model.message = Some(message),
            News::Answer(title, lines) => self.model.answer = Some((title, lines)),
        }
        self.is_changed = true;
    }

    /// Makes one state of all news.
    fn refresh(&mut self, at: Instant) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        let mut data = self.state.clone();
        data.packets = self.packets.iter().cloned().collect();
        data.top_flows = self.flows.clone();
        self.ends.add_to(&mut data, at);
        self.model.set_data(data);
    }

    /// Takes the task of the last key for the process.
    pub fn take_request(&mut self) -> Option<Request> {
        self.model.request.take()
    }

    /// A sentence at the bottom of the screen.
    pub fn say(&mut self, message: String) {
        self.model.message = Some(message);
    }

    /// The model, as the last screen shows it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model, to restore what was kept.
    pub fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key, at: Instant) {
        self.refresh(at);
        on_key(&mut self.model, key);
        // Counters begin at another moment: of the same data.
        self.is_changed |= self.model.zero.is_some() != self.has_zero;
        self.has_zero = self.model.zero.is_some();
        self.frozen_at = match (&self.model.frozen, self.frozen_at) {
            (None, _) => None,
            (Some(_), known) => known.or(Some(at)),
        };
    }

    /// Whether the console has ended.
    pub fn is_done(&self) -> bool {
        self.model.is_done
    }

    /// Whether the screen needs lists of flows.
    pub fn wants_flows(&self) -> bool {
        matches!(self.model.view, View::Conntrack | View::Talkers)
    }

    /// Whether a state has come.
    pub fn has_data(&self) -> bool {
        self.seen.is_some()
    }

    /// Why there is no data.
    pub fn problem(&self) -> Option<&str> {
        self.model.feed_problem.as_deref()
    }

    /// The screen at this time.
    pub fn draw(&mut self, canvas: &Canvas, at: Instant, wall: SystemTime) -> Vec<Line<'static>> {
        self.refresh(at);
        self.model.age = match self.seen {
            None => Age::Unknown,
            Some(seen) if at - seen < FRESH => Age::Live,
            Some(seen) => Age::Stale((at - seen).as_secs()),
        };
        if let (Some((_, seconds)), Some(since)) = (&mut self.model.frozen, self.frozen_at) {
            *seconds = (at - since).as_secs();
        }
        let time = bailey_clock::rfc3339_milliseconds(wall);
        let (day, rest) = time.split_once('T').unwrap_or((&time, ""));
        self.model.clock = (day.to_owned(), rest.get(..8).unwrap_or_default().to_owned());
        self.model.page = rows_of(&self.model, canvas);
        self.model.frame = frame_of(&self.model, canvas);
        self.model.text_lines = crate::view::text_lines(&self.model, canvas);
        screen(&self.model, canvas)
    }
}
