// SPDX-License-Identifier: Apache-2.0
#include "collective_record.hpp"

#include <algorithm>
#include <cstdio>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {
namespace {

const char* name_of(Operation operation) {
  switch (operation) {
    case Operation::barrier:
      return "barrier";
    case Operation::broadcast:
      return "broadcast";
    case Operation::all_reduce:
      return "all_reduce";
    case Operation::all_gather:
      return "all_gather";
    case Operation::gather:
      return "gather";
    case Operation::exchange:
      return "exchange";
    case Operation::split:
      return "split";
    case Operation::split_by_node:
      return "split_by_node";
    case Operation::share_memory:
      return "share_memory";
    case Operation::file_access:
      return "file access";
    case Operation::connect:
      return "connect";
    case Operation::close:
      return "close";
  }
  return "?";
}

const char* name_of(Element element) {
  switch (element) {
    case Element::none:
      return "";
    case Element::bytes:
      return "bytes";
    case Element::int64:
      return "int64";
    case Element::float32:
      return "float";
    case Element::float64:
      return "double";
  }
  return "?";
}

const char* name_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::sum:
      return "sum";
    case Reduction::maximum:
      return "maximum";
    case Reduction::minimum:
      return "minimum";
  }
  return "?";
}

std::string call_of(const CollectiveRecord& record) {
  std::string text = name_of(record.operation);
  if (record.carrier == Carrier::nccl) {
    text += " over NCCL";
  }
  if (record.element != Element::none) {
    text += " of " + std::to_string(record.count) + " " + name_of(record.element);
  }
  if (record.operation == Operation::all_reduce) {
    text += std::string(" (") + name_of(static_cast<Reduction>(record.argument)) + ")";
  } else if (record.operation == Operation::broadcast) {
    text += " from rank " + std::to_string(record.argument);
  } else if (record.operation == Operation::gather) {
    text += " to rank " + std::to_string(record.argument);
  }
  return text;
}

}  // namespace

std::string communicator_name(const CollectiveRecord& record) {
  const auto end = std::find(record.communicator.begin(), record.communicator.end(), '\0');
  return {record.communicator.begin(), end};
}

void set_communicator_name(CollectiveRecord& record, std::string_view name) {
  record.communicator = {};
  std::copy_n(name.begin(), std::min(name.size(), record.communicator.size()), record.communicator.begin());
}

std::string describe(const CollectiveRecord& record) {
  return call_of(record) + ", number " + std::to_string(record.sequence) + " of " + communicator_name(record);
}

bool fit_together(const CollectiveRecord& a, const CollectiveRecord& b) {
  if (a.sequence != b.sequence || a.operation != b.operation || a.element != b.element ||
      a.carrier != b.carrier || a.communicator != b.communicator || a.argument != b.argument) {
    return false;
  }
  // What ranks gather and exchange may differ in size.
  const bool one_size = a.operation == Operation::broadcast || a.operation == Operation::all_reduce ||
                        a.operation == Operation::share_memory;
  return !one_size || a.count == b.count;
}

void CollectiveHistory::begin(const CollectiveRecord& record) {
  kept_[begun_ % kKeptCollectives] = record;
  ++begun_;
}

void CollectiveHistory::end_newest(float took_s) {
  if (begun_ > 0) {
    kept_[(begun_ - 1) % kKeptCollectives].took_s = took_s;
  }
}

std::vector<CollectiveRecord> CollectiveHistory::records() const {
  std::vector<CollectiveRecord> records;
  for (std::size_t i = begun_ - std::min(begun_, kKeptCollectives); i < begun_; ++i) {
    records.push_back(kept_[i % kKeptCollectives]);
  }
  return records;
}

std::string table_of(const std::vector<CollectiveRecord>& records) {
  std::string text;
  for (const auto& record : records) {
    std::array<char, 64> times{};
    if (record.took_s < 0) {
      std::snprintf(times.data(), times.size(), "  %12.6f s  not ended   ",
                    static_cast<double>(record.entered_s));
    } else {
      std::snprintf(times.data(), times.size(), "  %12.6f s  %10.6f s ",
                    static_cast<double>(record.entered_s), static_cast<double>(record.took_s));
    }
    text += times.data() + describe(record) + "\n";
  }
  return text;
}

}  // namespace mgrn::comm
