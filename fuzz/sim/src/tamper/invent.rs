//! Invents rule files: most load, some are wrong in one place.

use loom_store::conformance::sample::Dice;

/// Facts of every sort, for expressions to read.
const FACTS: &str = "loom rules 1\nset invented \"Nobody wrote it.\"\n\n\
    fact n counter\n  add stage.entered\n\n\
    fact on flag\n  add run.opened if event.cap_spawns > 3\n\n\
    fact last_stage last string\n  add stage.entered: event.stage\n\n\
    fact severities set of string\n  add finding.raised: event.severity\n\n\
    fact words set of string\n  add stage.entered: event.stage\n  add run.opened: event.slug\n\n\
    fact waived last list of string\n  add run.opened: event.checks_waived\n\n\
    fact rounds sum by string\n  add stage.entered: event.round by event.stage\n\n\
    fact phases last string by string\n  add stage.entered: event.phase by event.stage\n\n\
    fact bad counter by string\n  add finding.raised by event.severity\n\n";

/// What a kind's events have, by sort.
struct Kind {
    name: &'static str,
    ints: &'static [&'static str],
    texts: &'static [&'static str],
    lists: &'static [&'static str],
    bytes: &'static [&'static str],
    /// What may be absent, and a truth that reads it.
    guarded: &'static [(&'static str, &'static str)],
}

const KINDS: &[Kind] = &[
    Kind {
        name: "run.opened",
        ints: &["event.cap_spawns", "event.sequence"],
        texts: &["event.slug", "event.owner", "event.kind"],
        lists: &["event.gate_roles", "event.checks_waived"],
        bytes: &["event.base_tree"],
        guarded: &[("event.flow", "event.flow == \"a\""), ("event.flow", "event.flow.startsWith(event.slug)")],
    },
    Kind {
        name: "stage.entered",
        ints: &["event.round", "event.stamp_ms"],
        texts: &["event.stage", "event.phase", "event.actor_class"],
        lists: &["facts.words", "facts.rounds"],
        bytes: &["b\"a\\xff/b\""],
        guarded: &[
            ("facts.last_stage", "facts.last_stage == event.stage"),
            ("facts.phases[event.stage]", "facts.phases[event.stage] == event.phase"),
        ],
    },
    Kind {
        name: "finding.raised",
        ints: &["event.round", "event.source"],
        texts: &["event.severity", "event.category", "event.origin"],
        lists: &["facts.severities", "facts.bad"],
        bytes: &["event.fingerprint"],
        guarded: &[("event.line", "event.line > 3"), ("event.path", "glob(event.path, \"src/**\")")],
    },
];

const INTS: &[&str] = &[
    "0",
    "1",
    "007",
    "-3",
    "- 3",
    "0x1F",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "facts.n",
];
const TEXTS: &[&str] =
    &["\"info\"", "'blocking'", "\"nope\"", "\"kernel\"", "\"\\u00e9\"", "r\"\\n\"", "\"stage.entered\"", "x"];
const LISTS: &[&str] = &[
    "facts.extra",
    "[\"info\", \"nope\"]",
    "[]",
    "facts.words",
    "facts.waived",
    "facts.severities",
    "facts.phases",
    "[\"a\",]",
];
const BYTES: &[&str] = &["b\"\"", "b'a/b'", "b\"\\x00\""];
const PIECES: &[&str] = &["a", "/", "*", "?", "**", "**/", "{a,b}", "{,a/}", "***", "\\\\*", ".", "é", "]", "{"];

/// Who invents one.
struct Author<'d> {
    dice: &'d mut Dice,
    kind: &'static Kind,
    /// How much more may be nested.
    left: u32,
}

/// Returns the text of a rule set.
pub(super) fn rules(dice: &mut Dice) -> String {
    let mut text = String::from(FACTS);
    if dice.below(2) == 0 {
        text.push_str(&fact(dice));
    }
    for number in 0..1 + dice.below(3) {
        let kind = &KINDS[dice.below(KINDS.len() as u64) as usize];
        let mut author = Author { dice, kind, left: 4 };
        let require = author.truth();
        text.push_str(&format!("rule r-{number} on {}\n  require {require}\n  message \"m\"\n\n", kind.name));
    }
    text
}

/// Returns one fact more, which later rules read by its size alone.
fn fact(dice: &mut Dice) -> String {
    let sorts =
        ["sum", "set of string", "last int", "last list of string", "counter by string", "last string by string"];
    let sort = dice.below(sorts.len() as u64) as usize;
    let mut text = format!("fact extra {}\n", sorts[sort]);
    for _ in 0..1 + dice.below(2) {
        let kind = &KINDS[dice.below(KINDS.len() as u64) as usize];
        let verb = ["add", "add", "add", "remove", "reset"][dice.below(5) as usize];
        let mut author = Author { dice, kind, left: 3 };
        let value = match sort {
            _ if verb == "reset" => String::new(),
            0 | 2 => format!(": {}", author.int()),
            1 if author.dice.below(2) == 0 => format!(": {}", author.list()),
            3 => format!(": {}", author.list()),
            4 => format!(" by {}", author.text()),
            5 if verb == "remove" => format!(" by {}", author.text()),
            5 => format!(": {} by {}", author.text(), author.text()),
            _ => format!(": {}", author.text()),
        };
        let when = if author.dice.below(2) == 0 { format!(" if {}", author.truth()) } else { String::new() };
        text.push_str(&format!("  {verb} {}{value}{when}\n", kind.name));
    }
    text + "\n"
}

impl Author<'_> {
    fn of(&mut self, choices: &[&str]) -> String {
        choices[self.dice.below(choices.len() as u64) as usize].to_string()
    }

    /// One of the kind's, or one of all.
    fn either(&mut self, own: &'static [&'static str], all: &[&str]) -> String {
        if self.dice.below(2) == 0 { self.of(own) } else { self.of(all) }
    }

    /// Goes one deeper, where that is left; else there is nothing deeper.
    fn deeper<T>(&mut self, within: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let made = within(self);
        self.left += 1;
        Some(made)
    }

    fn truth(&mut self) -> String {
        let choice = self.dice.below(12);
        self.deeper(|author| match choice {
            0 => format!("({} && {})", author.truth(), author.truth()),
            1 => format!("{} || {}", author.truth(), author.truth()),
            2 => format!("!({})", author.truth()),
            3 => format!("({} ? {} : {})", author.truth(), author.truth(), author.truth()),
            4 => format!("{} in {}", author.text(), author.list()),
            5 => {
                let name = author.of(&["all", "exists", "exists_one"]);
                format!("{}.{name}(x, {})", author.list(), author.truth())
            }
            6 => format!("glob({}, \"{}\")", author.path(), author.pattern()),
            7 => {
                let choices = author.kind.guarded;
                let (asked, truth) = choices[author.dice.below(choices.len() as u64) as usize];
                match author.dice.below(3) {
                    0 => format!("(has({asked}) && {truth})"),
                    1 => format!("(!has({asked}) || {truth})"),
                    _ => truth.to_string(),
                }
            }
            8 => {
                let name = author.of(&["startsWith", "endsWith", "contains"]);
                format!("{}.{name}({})", author.text(), author.text())
            }
            9 => format!("{} {} {}", author.list(), author.of(&["==", "!="]), author.list()),
            _ => author.compared(),
        })
        .unwrap_or_else(|| self.of(&["true", "facts.on", "facts.n > 2", "false"]))
    }

    fn compared(&mut self) -> String {
        let sign = self.of(&["==", "!=", "<", "<=", ">", ">="]);
        match self.dice.below(20) {
            0..9 => format!("{} {sign} {}", self.text(), self.text()),
            9..18 => format!("{} {sign} {}", self.int(), self.int()),
            18 => format!("{} {sign} {}", self.bytes(), self.bytes()),
            _ => format!("{} {sign} {}", self.int(), self.text()),
        }
    }

    fn text(&mut self) -> String {
        if self.dice.below(6) == 0
            && let Some(chosen) =
                self.deeper(|author| format!("({} ? {} : {})", author.truth(), author.text(), author.text()))
        {
            return chosen;
        }
        self.either(self.kind.texts, TEXTS)
    }

    fn int(&mut self) -> String {
        let choice = self.dice.below(8);
        let made = match choice {
            0 => self.deeper(|author| {
                let sign = author.of(&["+", "-", "*", "/", "%"]);
                format!("({} {sign} {})", author.int(), author.int())
            }),
            1 => self.deeper(|author| format!("size({})", author.text())),
            2 => self.deeper(|author| format!("size({})", author.list())),
            3 => self.deeper(|author| format!("facts.rounds[{}]", author.text())),
            4 => self.deeper(|author| format!("facts.bad[{}]", author.text())),
            _ => None,
        };
        made.unwrap_or_else(|| self.either(self.kind.ints, INTS))
    }

    fn list(&mut self) -> String {
        if self.dice.below(8) == 0
            && let Some(chosen) =
                self.deeper(|author| format!("({} ? {} : {})", author.truth(), author.list(), author.list()))
        {
            return chosen;
        }
        self.either(self.kind.lists, LISTS)
    }

    fn bytes(&mut self) -> String {
        self.either(self.kind.bytes, BYTES)
    }

    fn path(&mut self) -> String {
        match self.dice.below(4) {
            0 => self.bytes(),
            1 => self.text(),
            _ => {
                let text: String = (0..self.dice.below(6)).map(|_| self.of(&["a", "b", "/", ".", "é"])).collect();
                format!("\"{text}\"")
            }
        }
    }

    fn pattern(&mut self) -> String {
        (0..self.dice.below(6)).map(|_| self.of(PIECES)).collect()
    }
}
