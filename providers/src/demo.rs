//! The demo, compiled in: a tiny real project, a task, and the script of a model that works on it.

/// The project's files by path, as its first commit has them.
pub const FILES: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../../fixtures/demo/project/README.md")),
    ("loom.toml", include_bytes!("../../fixtures/demo/project/loom.toml")),
    ("notes.sh", include_bytes!("../../fixtures/demo/project/notes.sh")),
    ("test.sh", include_bytes!("../../fixtures/demo/project/test.sh")),
];

/// What the demo asks for.
pub const TASK: &str = include_str!("../../fixtures/demo/task.md");

/// The model's script (see [`crate::Script`]).
pub const SCRIPT: &str = include_str!("../../fixtures/demo/script.toml");
