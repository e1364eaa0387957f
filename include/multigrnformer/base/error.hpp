// SPDX-License-Identifier: Apache-2.0
// The program's errors: one type per exit code, each carrying what a user needs to act on it.
#pragma once

#include <exception>
#include <string>

namespace mgrn::base {

/// The program's exit codes (documented in README and docs/errors.md).
enum class ExitCode : int {
  done = 0,
  usage = 64,          ///< unknown command or key, illegal value
  data = 65,           ///< an input that is missing, unreadable or wrong
  internal = 70,       ///< a defect of the program
  output = 74,         ///< an output that cannot be written
  stopped = 75,        ///< stopped on a signal with a checkpoint: requeue me
  communication = 76,  ///< a collective that failed or did not end
  numeric = 77,        ///< training produced non-finite numbers again and again
};

/// What an error says. `what` is mandatory, all else may be empty.
struct ErrorText {
  std::string what = {};      ///< what failed, in plain words: "gene matrix holds negative values"
  std::string file = {};      ///< the file, folder or key concerned
  std::string expected = {};  ///< what was expected there
  std::string got = {};       ///< what was found instead
  std::string hint = {};      ///< the next step for the user, as an imperative sentence
};

/// Base of all errors that a user may see. Thrown on the rank that noticed; `comm::agree` makes it known
/// to the others.
class Error : public std::exception {
 public:
  Error(ExitCode code, ErrorText text);

  ExitCode code() const { return code_; }
  const ErrorText& text() const { return text_; }
  /// Rank on which it happened, -1 while unknown.
  int rank() const { return rank_; }
  void set_rank(int rank);

  /// `error: WHAT (rank R, file F): expected E, got G` and, on a second line, `hint: NEXT STEP`.
  /// Each stays one line: control characters inside are escaped.
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  void format();

  ExitCode code_;
  ErrorText text_;
  int rank_ = -1;
  std::string message_;
};

struct UsageError : Error {
  explicit UsageError(ErrorText text) : Error(ExitCode::usage, std::move(text)) {}
};
struct DataError : Error {
  explicit DataError(ErrorText text) : Error(ExitCode::data, std::move(text)) {}
};
struct OutputError : Error {
  explicit OutputError(ErrorText text) : Error(ExitCode::output, std::move(text)) {}
};
struct CommunicationError : Error {
  explicit CommunicationError(ErrorText text) : Error(ExitCode::communication, std::move(text)) {}
};
struct NumericError : Error {
  explicit NumericError(ErrorText text) : Error(ExitCode::numeric, std::move(text)) {}
};
struct InternalError : Error {
  explicit InternalError(ErrorText text) : Error(ExitCode::internal, std::move(text)) {}
};
/// Not a failure: the run stopped on a signal after writing a checkpoint.
struct Stopped : Error {
  explicit Stopped(ErrorText text) : Error(ExitCode::stopped, std::move(text)) {}
};

/// The error in full with the exit code it carries, rebuilt from its parts (used to hand an error from
/// one rank to the others). `code` selects the type that is thrown.
[[noreturn]] void throw_error(ExitCode code, ErrorText text, int rank);

}  // namespace mgrn::base
