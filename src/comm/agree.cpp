// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/agree.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "multigrnformer/base/error.hpp"

namespace mgrn::comm {
namespace {

// An error's parts, as they travel: code, rank, then five length-prefixed texts.
struct CarriedError {
  base::ExitCode code = base::ExitCode::internal;
  int rank = -1;
  base::ErrorText text;
};

CarriedError take_apart(const std::exception_ptr& error, int rank) {
  try {
    std::rethrow_exception(error);
  } catch (const base::Error& known) {
    // An error that was agreed on before keeps the rank it happened on.
    return {known.code(), known.rank() >= 0 ? known.rank() : rank, known.text()};
  } catch (const std::bad_alloc&) {
    return {base::ExitCode::internal,
            rank,
            {.what = "out of memory", .hint = "give each rank more memory, or use fewer ranks per node"}};
  } catch (const std::exception& other) {
    return {base::ExitCode::internal, rank, {.what = other.what()}};
  } catch (...) {
    return {base::ExitCode::internal, rank, {.what = "an error of unknown type"}};
  }
}

std::string serialise(const CarriedError& error) {
  std::string out;
  const auto put_number = [&](std::int64_t value) {
    std::array<char, sizeof value> raw{};
    std::memcpy(raw.data(), &value, sizeof value);
    out.append(raw.data(), raw.size());
  };
  put_number(static_cast<int>(error.code));
  put_number(error.rank);
  for (const auto* text :
       {&error.text.what, &error.text.file, &error.text.expected, &error.text.got, &error.text.hint}) {
    put_number(static_cast<std::int64_t>(text->size()));
    out += *text;
  }
  return out;
}

CarriedError parse(const std::string& in) {
  std::size_t at = 0;
  const auto take_number = [&] {
    std::int64_t value = 0;
    std::memcpy(&value, in.data() + at, sizeof value);
    at += sizeof value;
    return value;
  };
  CarriedError error;
  error.code = static_cast<base::ExitCode>(take_number());
  error.rank = static_cast<int>(take_number());
  for (auto* text :
       {&error.text.what, &error.text.file, &error.text.expected, &error.text.got, &error.text.hint}) {
    const auto length = static_cast<std::size_t>(take_number());
    *text = in.substr(at, length);
    at += length;
  }
  return error;
}

// Line `number` (from 1) of a text, without its line break; false past the end.
bool line_at(const std::string& text, std::size_t& position, std::string& line) {
  if (position >= text.size()) {
    return false;
  }
  const auto end = std::min(text.find('\n', position), text.size());
  line = text.substr(position, end - position);
  position = end + 1;
  return true;
}

}  // namespace

void throw_agreed(Communicator& communicator, const std::exception_ptr& mine) {
  // One small all-reduce when all is well; the text travels only when there is one.
  std::array<std::int64_t, 1> first{mine ? communicator.rank() : communicator.size()};
  communicator.all_reduce(std::span<std::int64_t>(first), Reduction::minimum);
  if (first[0] == communicator.size()) {
    return;
  }
  const int source = static_cast<int>(first[0]);
  std::string carried;
  if (communicator.rank() == source) {
    carried = serialise(take_apart(mine, source));
  }
  CarriedError error = parse(broadcast_text(communicator, std::move(carried), source));
  base::throw_error(error.code, std::move(error.text), error.rank);
}

void require_same(Communicator& communicator, const std::string& name, const std::string& text) {
  const std::string reference = broadcast_text(communicator, text, 0);
  agree(communicator, [&] {
    if (text == reference) {
      return;
    }
    std::size_t reference_at = 0;
    std::size_t mine_at = 0;
    for (std::size_t number = 1;; ++number) {
      std::string theirs;
      std::string mine;
      const bool more_there = line_at(reference, reference_at, theirs);
      const bool more_here = line_at(text, mine_at, mine);
      if (more_there && more_here && theirs == mine) {
        continue;
      }
      // Equal to the end of the last line: they differ in the final line break.
      const std::string end = !more_there && !more_here ? "another line break at the end" : "nothing";
      throw base::UsageError(
          {.what = name + " differs between ranks, in line " + std::to_string(number),
           .expected = "as on rank 0 " + (more_there ? "\"" + theirs + "\"" : "the end of the text"),
           .got = more_here ? "\"" + mine + "\"" : end,
           .hint = "give every rank the same command line, config file and program"});
    }
  });
}

}  // namespace mgrn::comm
