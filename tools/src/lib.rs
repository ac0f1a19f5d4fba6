//! Acts: workspaces, sanitised git, processes.
