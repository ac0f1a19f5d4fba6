//! Path patterns over bytes, at a cost linear in the path.
//!
//! A pattern is a small automaton whose states fit in one `u128`; a path is read once, without backtracking
//! (RULE-10). `*` and `?` stay within a segment, `**` crosses segments, `**/` also stands for no segment at all,
//! `{a,b}` are alternatives, `\` takes the next byte literally.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Most states of one alternative.
const STATES_MAX: usize = 126;
/// Most alternatives after braces are expanded.
const ALTERNATIVES_MAX: usize = 32;

/// A compiled pattern.
#[derive(Debug, PartialEq)]
pub struct Glob {
    alternatives: Vec<Automaton>,
}

/// State `i` waits before element `i`; the bit after the last element accepts.
#[derive(Debug, PartialEq)]
struct Automaton {
    /// Which entry of `steps` a byte takes.
    class: Box<[u8; 256]>,
    /// States that a byte of the class moves on by one.
    steps: Vec<u128>,
    /// States that stay on any byte.
    stay_any: u128,
    /// States that stay on any byte but `/`, those that stay on any among them.
    stay: u128,
    /// States that a segment's first byte moves into, i.e. `**/` waiting for its end.
    enter: u128,
    /// States inside a segment of `**/`; `/` moves them back by one.
    inside: u128,
    /// States that may be left without a byte, one on.
    skip_one: u128,
    /// The same, two on.
    skip_two: u128,
    accept: u128,
    /// The literal bytes that the pattern ends with: most paths are told apart by them.
    tail: Box<[u8]>,
}

enum Element {
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Star,
    /// `**`
    Any,
    /// `**/`: takes two states, before a segment and inside one.
    Segments,
}

impl Glob {
    /// Compiles a pattern; the error says what is wrong with it.
    pub fn new(pattern: &[u8]) -> Result<Glob, String> {
        let alternatives = expand(pattern)?;
        Ok(Glob { alternatives: alternatives.iter().map(|text| Automaton::new(text)).collect::<Result<_, _>>()? })
    }

    /// Whether the whole path fits the pattern.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.alternatives.iter().any(|automaton| automaton.matches(path))
    }

    /// Returns how many automata read the path.
    pub(crate) fn alternatives(&self) -> u64 {
        self.alternatives.len() as u64
    }
}

impl Automaton {
    fn new(pattern: &[u8]) -> Result<Automaton, String> {
        let elements = elements(pattern)?;
        let states: usize =
            elements.iter().map(|element| if matches!(element, Element::Segments) { 2 } else { 1 }).sum();
        if states > STATES_MAX {
            return Err(format!("the pattern has {states} parts; at most {STATES_MAX} are allowed"));
        }
        let literal = |element: &Element| if let Element::Byte(byte) = element { Some(*byte) } else { None };
        let mut tail: Vec<u8> = elements.iter().rev().map_while(literal).collect();
        tail.reverse();
        let mut automaton = Automaton {
            tail: tail.into(),
            class: Box::new([0; 256]),
            steps: vec![0],
            stay_any: 0,
            stay: 0,
            enter: 0,
            inside: 0,
            skip_one: 0,
            skip_two: 0,
            accept: 1 << states,
        };
        let (mut state, mut wild) = (1u128, 0u128);
        for element in elements {
            match element {
                Element::Byte(byte) => {
                    let class = &mut automaton.class[usize::from(byte)];
                    if *class == 0 {
                        // At most 126 literal bytes, so the index fits.
                        *class = automaton.steps.len() as u8;
                        automaton.steps.push(0);
                    }
                    automaton.steps[usize::from(*class)] |= state;
                }
                Element::One => wild |= state,
                Element::Star => {
                    automaton.stay |= state;
                    automaton.skip_one |= state;
                }
                Element::Any => {
                    automaton.stay_any |= state;
                    automaton.stay |= state;
                    automaton.skip_one |= state;
                }
                Element::Segments => {
                    automaton.enter |= state;
                    automaton.skip_two |= state;
                    state <<= 1;
                    automaton.inside |= state;
                    automaton.stay |= state;
                }
            }
            state <<= 1;
        }
        // `?` moves on by every byte but `/`; `/` gets a class of its own to be told apart.
        if automaton.class[usize::from(b'/')] == 0 {
            automaton.class[usize::from(b'/')] = automaton.steps.len() as u8;
            automaton.steps.push(0);
        }
        let slash = usize::from(automaton.class[usize::from(b'/')]);
        for (class, step) in automaton.steps.iter_mut().enumerate() {
            if class != slash {
                *step |= wild;
            }
        }
        Ok(automaton)
    }

    fn matches(&self, path: &[u8]) -> bool {
        if !path.ends_with(&self.tail) {
            return false;
        }
        let mut states = self.closed(1);
        for byte in path {
            let moved = (states & self.steps[usize::from(self.class[usize::from(*byte)])]) << 1;
            let next = if *byte == b'/' {
                moved | (states & self.stay_any) | ((states & self.inside) >> 1)
            } else {
                moved | (states & self.stay) | ((states & self.enter) << 1)
            };
            if next == 0 {
                return false;
            }
            states = self.closed(next);
        }
        states & self.accept != 0
    }

    /// Adds the states that need no byte. Neighbouring wildcards are merged, so this ends after a few rounds.
    #[inline]
    fn closed(&self, mut states: u128) -> u128 {
        loop {
            let next = states | (states & self.skip_one) << 1 | (states & self.skip_two) << 2;
            if next == states {
                return states;
            }
            states = next;
        }
    }
}

fn elements(pattern: &[u8]) -> Result<Vec<Element>, String> {
    let mut elements = Vec::new();
    let mut at = 0;
    while let Some(byte) = pattern.get(at) {
        match byte {
            b'\\' => {
                let next = pattern.get(at + 1).ok_or("the pattern ends in a backslash")?;
                elements.push(Element::Byte(*next));
                at += 2;
            }
            b'?' => {
                elements.push(Element::One);
                at += 1;
            }
            b'*' => {
                let stars = pattern[at..].iter().take_while(|byte| **byte == b'*').count();
                let begins_segment = at == 0 || pattern[at - 1] == b'/';
                at += stars;
                if stars > 1 && begins_segment && pattern.get(at) == Some(&b'/') {
                    at += 1;
                    if !matches!(elements.last(), Some(Element::Segments)) {
                        elements.push(Element::Segments);
                    }
                } else {
                    elements.push(if stars > 1 { Element::Any } else { Element::Star });
                }
            }
            b'[' | b']' => return Err("character classes are not supported; write alternatives as {a,b}".into()),
            other => {
                elements.push(Element::Byte(*other));
                at += 1;
            }
        }
    }
    Ok(elements)
}

/// Expands `{a,b}`, nested ones too, from the innermost outwards.
fn expand(pattern: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let (mut done, mut open) = (Vec::new(), vec![Vec::from(pattern)]);
    while let Some(text) = open.pop() {
        let Some((start, end)) = innermost(&text)? else {
            done.push(text);
            continue;
        };
        for choice in choices(&text[start + 1..end]) {
            open.push([&text[..start], choice, &text[end + 1..]].concat());
        }
        if done.len() + open.len() > ALTERNATIVES_MAX {
            return Err(format!("the pattern has more than {ALTERNATIVES_MAX} alternatives"));
        }
    }
    Ok(done)
}

/// Returns where the first pair of braces without braces inside begins and ends.
fn innermost(text: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let (mut start, mut at) = (None, 0);
    while let Some(byte) = text.get(at) {
        match (byte, start) {
            (b'\\', _) => at += 1,
            (b'{', _) => start = Some(at),
            (b'}', Some(start)) => return Ok(Some((start, at))),
            (b'}', None) => return Err("`}` without `{`; write a literal brace as `\\}`".into()),
            _ => {}
        }
        at += 1;
    }
    if start.is_some() { Err("`{` without `}`; write a literal brace as `\\{`".into()) } else { Ok(None) }
}

fn choices(text: &[u8]) -> Vec<&[u8]> {
    let (mut choices, mut start, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b',' => {
                choices.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    choices.push(&text[start..]);
    choices
}
