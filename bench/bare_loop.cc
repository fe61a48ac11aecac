// The floor that a server is held against: decode, resize, ONNX Runtime, in a loop, in one process,
// with nothing around it. Prints one JSON object.
//
//   bare_loop MODEL.onnx PHOTO THREADS SECONDS        images a second, resident memory
//   bare_loop MODEL.onnx - THREADS SECONDS            ONNX Runtime alone, on one tensor
#include <onnxruntime_cxx_api.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <vector>

#include "image/image.h"

namespace {

using podsense::image::TensorSpec;

/// One run of one thread, as a server's executor does it.
class Loop {
 public:
  Loop(Ort::Session& session, const std::vector<char>& photo) : session_(session), photo_(photo) {}

  bool once() {
    if (!photo_.empty() && !decode()) {
      return false;
    }
    run();
    return true;
  }

 private:
  bool decode() {
    const auto decoded = podsense::image::to_tensor(std::as_bytes(std::span(photo_)), spec_, {},
                                                    std::span(tensor_), scratch_);
    if (!decoded) {
      std::fprintf(stderr, "%s\n", decoded.error().message.c_str());
      return false;
    }
    return true;
  }

  void run() {
    constexpr std::int64_t kShape[] = {1, 3, 224, 224};
    const char* const inputs[] = {"image"};
    const char* const outputs[] = {"probabilities"};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const auto input =
        Ort::Value::CreateTensor<float>(memory, tensor_.data(), tensor_.size(), kShape, 4);
    session_.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);
  }

  Ort::Session& session_;
  const std::vector<char>& photo_;
  const TensorSpec spec_{};
  std::vector<float> tensor_ = std::vector<float>(podsense::image::element_count(spec_));
  podsense::image::Scratch scratch_;
};

long resident_kib() {
  long pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * 4;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bare_loop MODEL.onnx PHOTO THREADS SECONDS\n");
    return 2;
  }
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  std::vector<char> photo;
  if (std::string_view(argv[2]) != "-") {
    std::ifstream file(argv[2], std::ios::binary);
    photo.assign(std::istreambuf_iterator<char>(file), {});
  }
  const int threads = std::atoi(argv[3]);
  const std::chrono::duration<double> length(std::atof(argv[4]));

  Ort::Env env(ORT_LOGGING_LEVEL_ERROR);
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  options.AddConfigEntry("session.intra_op.allow_spinning", "0");
  Ort::Session session(env, argv[1], options);

  std::atomic<long> images{0};
  std::atomic<bool> stop{false};
  for (Loop warm_up(session, photo); images < 5; ++images) {
    if (!warm_up.once()) {
      return 1;
    }
  }
  const long idle = resident_kib();
  images = 0;
  const double cpu = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::jthread> workers;
  for (int i = 0; i < threads; ++i) {
    workers.emplace_back([&] {
      Loop loop(session, photo);
      while (!stop && loop.once()) {
        ++images;
      }
    });
  }
  std::this_thread::sleep_for(length);
  stop = true;
  workers.clear();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto count = static_cast<double>(images.load());
  std::printf("{\"images_per_second\": %.2f, \"cpu_ms_per_image\": %.4f, \"idle_mib\": %.1f}\n",
              count / took.count(), (cpu_seconds() - cpu) * 1e3 / count,
              static_cast<double>(idle) / 1024.0);
  return 0;
}
