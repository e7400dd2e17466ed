mod support;
mod writer;
