//! What the derives refuse, generate and compile to
