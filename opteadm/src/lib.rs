//! Programs xde: a command line and a client library
