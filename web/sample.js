// A picture without a file: a wall clock that shows the time, drawn here. Models of ImageNet know it.

const kSize = 480;

function hand(context, angle, length, width, colour) {
  context.save();
  context.rotate(angle);
  context.lineWidth = width;
  context.lineCap = 'round';
  context.strokeStyle = colour;
  context.beginPath();
  context.moveTo(0, 18);
  context.lineTo(0, -length);
  context.stroke();
  context.restore();
}

function face(context) {
  const wall = context.createLinearGradient(0, 0, kSize, kSize);
  wall.addColorStop(0, '#d9d3c3');
  wall.addColorStop(1, '#b3aa95');
  context.fillStyle = wall;
  context.fillRect(0, 0, kSize, kSize);
  context.translate(kSize / 2, kSize / 2);
  context.shadowColor = 'rgb(40 30 10 / 50%)';
  context.shadowBlur = 26;
  context.shadowOffsetX = 8;
  context.shadowOffsetY = 12;
  disc(context, 196, '#3b2a1c');
  context.shadowColor = 'transparent';
  disc(context, 184, '#6d4f34');
  disc(context, 172, '#fbf8ef');
}

function disc(context, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(0, 0, radius, 0, 2 * Math.PI);
  context.fill();
}

function marks(context) {
  context.fillStyle = '#1b1b1b';
  context.font = '600 34px Georgia, serif';
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (let minute = 0; minute < 60; minute += 1) {
    const angle = (minute * Math.PI) / 30;
    if (minute % 5 === 0) {
      context.fillText(String(minute / 5 || 12), 130 * Math.sin(angle), -130 * Math.cos(angle));
    }
    context.save();
    context.rotate(angle);
    context.fillRect(-1.5, -166, minute % 5 === 0 ? 5 : 2, minute % 5 === 0 ? 14 : 8);
    context.restore();
  }
}

/// A Promise of a File, JPEG.
export function drawSample(now = new Date()) {
  const canvas = document.createElement('canvas');
  canvas.width = kSize;
  canvas.height = kSize;
  const context = canvas.getContext('2d');
  face(context);
  marks(context);
  const minutes = now.getMinutes() + now.getSeconds() / 60;
  hand(context, ((now.getHours() % 12) + minutes / 60) * (Math.PI / 6), 84, 11, '#161616');
  hand(context, minutes * (Math.PI / 30), 128, 7, '#161616');
  hand(context, now.getSeconds() * (Math.PI / 30), 138, 3, '#a8321f');
  disc(context, 9, '#161616');
  return new Promise((resolve, reject) => {
    canvas.toBlob(
        (blob) => (blob ? resolve(new File([blob], 'clock.jpg', {type: 'image/jpeg'})) :
                          reject(new Error('this browser cannot make a JPEG'))),
        'image/jpeg', 0.92);
  });
}
