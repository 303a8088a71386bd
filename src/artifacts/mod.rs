//! Getting and checking models and native libraries.
pub mod bert_onnx;
mod onnx;
