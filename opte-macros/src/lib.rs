//! The derive and stack macros of opte-headers
