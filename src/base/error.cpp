// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/error.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace mgrn::base {
namespace {

// A message must stay on one line even when a file name or a cell of a table holds a line break.
std::string one_line(const std::string& text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (const char raw : text) {
    const auto byte = static_cast<unsigned char>(raw);
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += raw;
    }
  }
  return out;
}

// No error leaves a user without a next step.
const char* usual_hint(ExitCode code) {
  switch (code) {
    case ExitCode::usage:
      return "multigrnformer COMMAND --help lists the keys and what they take";
    case ExitCode::data:
      return "mend or replace that input, then run the same command again";
    case ExitCode::output:
      return "check that the folder exists, that you may write there and that the disk is not full";
    case ExitCode::stopped:
      return "run the same command again: it goes on from the checkpoint";
    case ExitCode::communication:
      return "try `multigrnformer doctor` under the same launcher; docs/clusters.md names the usual causes";
    case ExitCode::numeric:
      return "lower train.learning_rate, and look at the data with `multigrnformer inspect`";
    case ExitCode::done:
    case ExitCode::internal:
      break;
  }
  return "this is a defect of the program: please report it with the command line";
}

template <typename E>
E made(ErrorText text, int rank) {
  E error(std::move(text));
  error.set_rank(rank);
  return error;
}

template <typename E>
[[noreturn]] void raise(ErrorText text, int rank) {
  throw made<E>(std::move(text), rank);
}

using Raise = void (*)(ErrorText text, int rank);

// The type of each code; what is not here is an InternalError.
constexpr std::array<std::pair<ExitCode, Raise>, 6> kTypes = {{
    {ExitCode::usage, raise<UsageError>},
    {ExitCode::data, raise<DataError>},
    {ExitCode::output, raise<OutputError>},
    {ExitCode::stopped, raise<Stopped>},
    {ExitCode::communication, raise<CommunicationError>},
    {ExitCode::numeric, raise<NumericError>},
}};

}  // namespace

Error::Error(ExitCode code, ErrorText text) : code_(code), text_(std::move(text)) {
  format();
}

void Error::set_rank(int rank) {
  rank_ = rank;
  format();
}

void Error::format() {
  message_ = "error: " + one_line(text_.what);
  std::string where;
  if (rank_ >= 0) {
    where = "rank " + std::to_string(rank_);
  }
  if (!text_.file.empty()) {
    where += (where.empty() ? "file " : ", file ") + one_line(text_.file);
  }
  if (!where.empty()) {
    message_ += " (" + where + ")";
  }
  if (!text_.expected.empty()) {
    message_ += ": expected " + one_line(text_.expected);
  }
  if (!text_.got.empty()) {
    message_ += (text_.expected.empty() ? ": got " : ", got ") + one_line(text_.got);
  }
  message_ += "\nhint: " + (text_.hint.empty() ? usual_hint(code_) : one_line(text_.hint));
}

void throw_error(ExitCode code, ErrorText text, int rank) {
  const auto type =
      std::find_if(kTypes.begin(), kTypes.end(), [code](const auto& entry) { return entry.first == code; });
  const Raise throw_it = type != kTypes.end() ? type->second : raise<InternalError>;
  throw_it(std::move(text), rank);
  std::abort();  // not reached: a pointer to a function cannot say that it does not return
}

}  // namespace mgrn::base
