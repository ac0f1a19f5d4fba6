//! The log's graph: a lane for each run, and one for each spawn of a fan-out.
//!
//! ```text
//! ●      stage.entered    review
//! ├─●    spawn.requested  reviewer-logic      a lane opens
//! ├─┼─●  spawn.requested  reviewer-tests
//! │ ● │  spawn.finished   reviewer-logic
//! ├─● │  verdict.given    reviewer-logic      and closes
//! ```
//!
//! One line an event. A lane is freed for the next who needs one.

use loom_core::id::StreamId;

/// Who a lane belongs to: a run, or one of its spawns by the sequence of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lane {
    /// The run.
    pub(crate) stream: StreamId,
    /// The spawn.
    pub(crate) spawn: Option<u64>,
}

/// What an event does to its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It goes on.
    On,
    /// A spawn's lane leaves its run's.
    Fork,
    /// A spawn's lane comes back to its run's.
    Join,
    /// The run's lane ends.
    End,
}

/// The lanes so far.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    lanes: Vec<Option<Lane>>,
}

impl Graph {
    /// Whether the lane is open.
    pub(crate) fn has(&self, lane: Lane) -> bool {
        self.lanes.contains(&Some(lane))
    }

    /// Returns the drawing of one event, without blanks at its end.
    pub(crate) fn draw(&mut self, lane: Lane, step: Step) -> String {
        let main = self.column(Lane { spawn: None, ..lane });
        let column = if lane.spawn.is_some() { self.column(lane) } else { main };
        let tied = matches!(step, Step::Fork | Step::Join);
        let mut drawing = String::new();
        for (index, lane) in self.lanes.iter().enumerate() {
            let (left, right) = (main.min(column), main.max(column));
            let on_tie = tied && index > left && index < right;
            drawing.push(match lane {
                _ if index == column => '●',
                Some(_) if tied && index == main => {
                    if main < column {
                        '├'
                    } else {
                        '┤'
                    }
                }
                Some(_) if on_tie => '┼',
                Some(_) => '│',
                None if on_tie => '─',
                None => ' ',
            });
            drawing.push(if tied && index >= left && index < right { '─' } else { ' ' });
        }
        if matches!(step, Step::Join | Step::End) {
            self.lanes[column] = None;
            if step == Step::End {
                self.close_spawns(lane.stream);
            }
            while self.lanes.last().is_some_and(Option::is_none) {
                self.lanes.pop();
            }
        }
        drawing.trim_end().to_string()
    }

    fn close_spawns(&mut self, stream: StreamId) {
        for lane in &mut self.lanes {
            if lane.is_some_and(|lane| lane.stream == stream) {
                *lane = None;
            }
        }
    }

    /// Returns the lane's column, the first free one for a new lane.
    fn column(&mut self, lane: Lane) -> usize {
        if let Some(column) = self.lanes.iter().position(|found| *found == Some(lane)) {
            return column;
        }
        let free = self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len());
        if free == self.lanes.len() {
            self.lanes.push(None);
        }
        self.lanes[free] = Some(lane);
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(steps: &[(u8, Option<u64>, Step)], drawing: &str) {
        let mut graph = Graph::default();
        let lines: Vec<String> = steps
            .iter()
            .map(|(run, spawn, step)| graph.draw(Lane { stream: StreamId([*run; 16]), spawn: *spawn }, *step))
            .collect();
        assert_eq!(lines.join("\n"), drawing);
    }

    #[test]
    fn spawns_of_a_fanout_are_branches() {
        check(
            &[
                (1, None, Step::On),
                (1, Some(1), Step::Fork),
                (1, Some(2), Step::Fork),
                (1, Some(3), Step::Fork),
                (1, Some(2), Step::On),
                (1, Some(2), Step::Join),
                (1, Some(1), Step::Join),
                (1, Some(3), Step::Join),
                (1, None, Step::On),
            ],
            "●\n├─●\n├─┼─●\n├─┼─┼─●\n│ │ ● │\n├─┼─● │\n├─●   │\n├─────●\n●",
        );
    }

    #[test]
    fn runs_side_by_side_have_lanes_of_their_own() {
        check(
            &[
                (1, None, Step::On),
                (2, None, Step::On),
                (1, Some(5), Step::Fork),
                (2, None, Step::End),
                (1, None, Step::On),
            ],
            "●\n│ ●\n├─┼─●\n│ ● │\n●   │",
        );
    }
}
