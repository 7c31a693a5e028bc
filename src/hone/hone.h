// The public face of the library: load a model, hold a conversation, hear the answer as it comes.
//
//   auto session = hone::Session::Load("smollm2-135m");
//   if (!session) return Complain(session.error().message);
//   hone::GenerateOptions options;
//   options.listener.text = [](std::string_view piece) { std::cout << piece; };
//   const hone::ChatMessage question{"user", "What is a hone?"};
//   const auto answer = session->Chat({&question, 1}, options);
//
// Errors are values: Result<T> holds a T or an Error with one line of text. A Session is used by one thread;
// any number of them share a Model and an Engine (Session::Create).
#pragma once

#include "core/base/result.h"               // Result, Error
#include "core/downloads/model_cache.h"     // ResolveModel
#include "evaluation/metrics/perplexity.h"  // MeasurePerplexity
#include "language/decoding/chat_prompt.h"  // ChatMessage, ChatPrompt
#include "language/decoding/logits_processor.h"
#include "language/decoding/sampler.h"    // SamplingOptions
#include "language/decoding/session.h"    // Session, GenerateOptions, Answer
#include "language/decoding/step_loop.h"  // many conversations in one batch
#include "language/models/model.h"        // Engine, Model, LoadModel
