//! Answers as one HTML file: opens from disk, loads nothing, runs nothing, reads well without colour, mouse or screen.
//!
//! ```text
//! page        the writer: what is markup stands in this source, everything else is escaped (REPORT-2)
//! judgement   what rules came to          inspection   what verifying found
//! timeline    a run's events, one by one        lanes       in which stages and by whom
//! ```
//!
//! Equal answers give equal bytes: no clock, no locale, no chance (REPORT-3). What is left out is said (REPORT-4).

mod finding;
mod inspection;
mod judgement;
mod lanes;
mod page;
mod timeline;

pub(super) use inspection::of_inspection;
pub(super) use judgement::of_judgement;
