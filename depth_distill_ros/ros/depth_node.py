"""The node `d3epth`: lifecycle, parameters and cameras wired to one model, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from depth_distill_ros.errors import ConfigError, UserError
from depth_distill_ros.ros import parameters
from depth_distill_ros.ros.allocator import give_back_freed_memory
from depth_distill_ros.ros.camera import Camera
from depth_distill_ros.ros.diagnostics import CameraDiagnostics, model_status
from depth_distill_ros.ros.graph_watch import GraphWatch
from depth_distill_ros.ros.inference import BatchInference
from depth_distill_ros.ros.reports import ProblemLog, described
from depth_distill_ros.ros.scale_file import load_scales, save_scales
from depth_distill_ros.ros.settings import Settings
from depth_distill_ros.ros.transforms import Transforms, make_transforms
from depth_distill_ros.ros.worker import NewestFrameWorker, WorkerCounts

STOP_SECONDS = 10.0
"""Patience at the stop with the frames in work; a large model on a CPU takes seconds."""

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class DepthNode(LifecycleNode):
    """Images in, depth images and clouds out.

    configure loads the model and makes the outputs, activate takes images, deactivate stops the
    work, cleanup frees the model.

    Args:
        load_estimator: makes the estimator of settings; raises UserError where it cannot be used.

    Attributes:
        failure: why the last `configure` failed; None after one that did not.

    Raises ConfigError where the parameters cannot be used.
    """

    def __init__(self, load_estimator: Callable[[Settings], Any]) -> None:
        super().__init__("d3epth")
        self.failure: Exception | None = None
        self._load_estimator = load_estimator
        self._settings = parameters.declare(self)
        self._problems = ProblemLog(self.get_logger().warning)
        self._inference: BatchInference | None = None
        self._cameras: dict[str, Camera] = {}
        self._worker: NewestFrameWorker | None = None
        self._transforms: Transforms | None = None
        self._statuses: list[CameraDiagnostics] = []
        self._watch = GraphWatch(self, self._problems.report)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._publish_diagnostics)
        self.create_service(Trigger, "~/save_scale", self._save_scale)
        self.create_service(Trigger, "~/reset_scale", self._reset_scale)
        self.create_service(Trigger, "~/reset_temporal", self._reset_temporal)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._warn_of_unknown_parameters()

    @property
    def settings(self) -> Settings:
        """Those that are not a camera's own."""
        return self._settings.base

    @property
    def state(self) -> str:
        """The lifecycle's: unconfigured, inactive, active, finalized or a transition."""
        return self._state_machine.current_state[1]

    # --- lifecycle -------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the model and makes the outputs; fails, with the reason, where it cannot."""
        settings = self.settings
        self.failure = None
        try:
            scales = load_scales(settings.scale_file) if settings.scale_file else {}
            self.get_logger().info(f"loading model '{settings.model or 'default'}'")
            estimator = self._load_estimator(settings)
            self._make_cameras(settings.cameras or ("",), scales)
            self._open_streams(estimator)
        except Exception as error:  # rclpy would swallow it without a word
            self._free()
            self.failure = error
            reason = error if isinstance(error, UserError) else described(error)
            self.get_logger().error(f"cannot be configured: {reason}")
            return FAILURE
        self._inference = BatchInference(estimator, self._cameras, self._problems.report)
        self._statuses = [
            CameraDiagnostics(camera, lambda name=name: self.counts(name))
            for name, camera in self._cameras.items()
        ]
        self.get_logger().info(
            f"model {estimator.name} on {estimator.device}, {estimator.engine.label} "
            f"({estimator.choice})"
        )
        return super().on_configure(state)

    def _make_cameras(self, names: Iterable[str], scales: Mapping[str, dict]) -> None:
        self._transforms = make_transforms(self)
        for name in names:
            camera = Camera(self, name, lambda name=name: self._settings.of(name), self._transforms)
            self._cameras[name] = camera
            if name in scales:
                camera.pipeline.tracker.restore(scales[name])

    def _open_streams(self, estimator: Any) -> None:
        for camera in self._cameras.values():
            camera.open_stream(estimator)
        wanted = any(camera.settings.temporal_enabled for camera in self._cameras.values())
        if wanted and not estimator.temporal_window:
            self.get_logger().info(
                f"the model {estimator.name} has no temporal head: temporal.enabled has no effect, "
                "each image is taken by itself"
            )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begins to take images and to answer them."""
        settings = self.settings
        self._worker = NewestFrameWorker(
            self._inference.answer,
            self._inference.finish,
            self._inference.failed,
            list(self._cameras),
            settings.batch_deadline if len(self._cameras) > 1 else 0.0,
            settings.batch_max,
        )
        result = super().on_activate(state)
        self._worker.start()
        self._open_inputs()
        self._watch.begin(self._cameras.values())
        self.get_logger().info(f"ready: images from {', '.join(self._image_topics())}")
        return result

    def _open_inputs(self) -> None:
        for name, camera in self._cameras.items():
            camera.open(lambda message, name=name: self._worker.submit(message, name))

    def renew_inputs(self) -> None:
        """Subscribes again: rclpy passes over a subscription whose message it could not take."""
        if self._worker is not None:
            for camera in self._cameras.values():
                camera.close()
            self._open_inputs()

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes no more images, after those in work."""
        self._stop_work()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees the model and takes the outputs back."""
        self._log_summaries()
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends from any state."""
        self.stop()
        self._free()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a defect in a transition: back to unconfigured."""
        self.get_logger().error("a transition failed: back to unconfigured")
        self._stop_work()
        self._free()
        return SUCCESS

    def stop(self) -> None:
        """Finishes the frames in work and logs what was done in all. The node stays to destroy."""
        self._stop_work()
        self._log_summaries()

    def _log_summaries(self) -> None:
        for camera in self._cameras.values():
            self.get_logger().info(self.summary(camera))

    def _stop_work(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        if self._worker is None:
            return
        if not self._worker.stop(STOP_SECONDS):
            self.get_logger().warning(f"the frames in work took more than {STOP_SECONDS:g} s")
        worker, self._worker = self._worker, None
        for name, camera in self._cameras.items():
            camera.finished += worker.counts(name)
            camera.forget_stream()

    def _free(self) -> None:
        for camera in self._cameras.values():
            camera.destroy()
        self._cameras.clear()
        self._statuses.clear()
        self._inference = None
        if self._transforms is not None:
            self._transforms.close()
        self._transforms = None
        give_back_freed_memory()

    def report_defect(self, error: Exception) -> None:
        """Logs what a callback raised, once for each cause."""
        self._problems.report(f"a request or message was lost by {described(error)}")

    # --- what was done ---------------------------------------------------------------------------

    def counts(self, camera: str = "") -> WorkerCounts:
        """What became of a camera's images so far; refused ones are among the processed."""
        worker, finished = self._worker, self._cameras[camera].finished
        return finished if worker is None else finished + worker.counts(camera)

    def summary(self, camera: Camera) -> str:
        """Counts of images and of problems, and mean times, as one line."""
        counts = self.counts(camera.name)
        label = f"{camera.name}: " if camera.name else ""
        parts = [
            f"{label}images: {counts.received} received, "
            f"{counts.processed - camera.refused} processed, "
            f"{counts.dropped} dropped for newer ones, {camera.refused} refused, "
            f"{counts.failed} failed"
        ]
        if times := camera.times.summary():
            parts.append(f"mean times: {times}")
        for cause, count in camera.problems.counts.items():
            parts.append(f"{count} x {cause}")
        return "; ".join(parts)

    def _publish_diagnostics(self) -> None:
        name, is_active = self.get_fully_qualified_name(), self._worker is not None
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        estimator = self._inference.estimator if self._inference else None
        frugal = self._inference.frugal if self._inference else None
        message.status = [
            model_status(name, self.state, estimator, frugal),
            *(status.status(name, is_active) for status in self._statuses),
        ]
        self._diagnostics.publish(message)
        if is_active:
            self._watch.look(lambda camera: self.counts(camera.name).received)

    def _image_topics(self) -> list[str]:
        return [camera.image_topic for camera in self._cameras.values()]

    # --- services and parameters -----------------------------------------------------------------

    def _save_scale(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        path = self.settings.scale_file
        trackers = {name: c.pipeline.saved_scale() for name, c in self._cameras.items()}
        known = {name: state for name, state in trackers.items() if state is not None}
        if not path:
            response.message = "there is no file to save to: set the parameter scale.file"
        elif not known:
            response.message = "no camera has a scale yet"
        else:
            try:
                save_scales(path, known)
                response.success = True
                response.message = f"saved to {path}"
            except ConfigError as error:
                response.message = str(error)
        return response

    def _reset_scale(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        for camera in self._cameras.values():
            camera.pipeline.reset_scale()
        response.success = True
        response.message = f"scale of {len(self._cameras)} camera(s) forgotten"
        return response

    def _reset_temporal(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        for camera in self._cameras.values():
            camera.forget_stream()
        response.success = True
        response.message = f"past images of {len(self._cameras)} camera(s) forgotten"
        return response

    def _on_set_parameters(self, changed: list) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in changed}
        try:
            if self.state != "unconfigured":
                parameters.refuse_fixed(values, self._settings)
            self._settings = parameters.settings_from(values, self._settings)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _warn_of_unknown_parameters(self) -> None:
        """ROS ignores a misspelt parameter without a word."""
        for name in getattr(self, "_parameter_overrides", {}):
            if not self.has_parameter(name) and not name.startswith("qos_overrides."):
                self.get_logger().warning(f"there is no parameter '{name}': it is ignored")
