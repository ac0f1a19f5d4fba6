//! Thinks: the scripted model.
