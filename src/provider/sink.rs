//! What a request turns out to hold, and who takes it.

use crate::event::Event;
use crate::json::Text;

/// Takes what a request turns out to hold.
pub trait Sink<'r> {
    /// Takes an event.
    fn event(&mut self, event: Event<'r>);

    /// Takes something that could not be understood, with its own bytes.
    fn fault(&mut self, fault: Fault<'r>);

    /// Counts a value that is in no map by the name of its wire field.
    fn unmapped(&mut self, field: &'static str);

    /// Takes what the provider wants to read in the answer, once everything is durable. Most want nothing.
    fn reply(&mut self, reply: Reply);

    /// Takes that the request belongs elsewhere, and what the operator should do about it.
    fn misdirected(&mut self, advice: &'static str);
}

/// The body of an answer 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Its media type.
    pub content_type: &'static str,
    /// It.
    pub body: &'static str,
}

/// A sink that keeps everything, for tests and tools.
#[derive(Debug, Default)]
pub struct Normalized<'r> {
    /// The events.
    pub events: Vec<Event<'r>>,
    /// What could not be understood.
    pub faults: Vec<Fault<'r>>,
    /// Wire fields whose value is in no map; one entry a value.
    pub unmapped: Vec<&'static str>,
    /// What the answer should say.
    pub reply: Option<Reply>,
    /// What to do about a request that belongs elsewhere.
    pub misdirected: Option<&'static str>,
}

impl<'r> Sink<'r> for Normalized<'r> {
    fn event(&mut self, event: Event<'r>) {
        self.events.push(event);
    }

    fn fault(&mut self, fault: Fault<'r>) {
        self.faults.push(fault);
    }

    fn unmapped(&mut self, field: &'static str) {
        self.unmapped.push(field);
    }

    fn reply(&mut self, reply: Reply) {
        self.reply = Some(reply);
    }

    fn misdirected(&mut self, advice: &'static str) {
        self.misdirected = Some(advice);
    }
}

/// Something authentic that could not be understood.
#[derive(Debug)]
pub struct Fault<'r> {
    /// A short word from a fixed list, such as `missing_id`.
    pub code: &'static str,
    /// An explanation for people, free of personal data.
    pub message: String,
    /// JSON Pointer (RFC 6901) to the place, where there is one.
    pub pointer: Option<String>,
    /// The record's own text; the whole request, if absent.
    pub record: Option<Text<'r>>,
}

impl Fault<'_> {
    /// A fault of the whole request.
    pub fn of_request(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: None, record: None }
    }

    /// Adds the place in the body.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }
}
