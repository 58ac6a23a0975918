import {
  applyDecorators,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Catch,
  type ExceptionFilter,
  Injectable,
  type NestInterceptor,
  type PipeTransform,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import type { Observable } from 'rxjs';

@Injectable()
class Guard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

@Injectable()
class Pipe implements PipeTransform {
  transform(value: unknown): unknown {
    return value;
  }
}

@Injectable()
class Interceptor implements NestInterceptor {
  intercept(_: unknown, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Catch(RangeError)
class Filter implements ExceptionFilter {
  catch(_: unknown, host: ArgumentsHost): unknown {
    return host.getArgs().length;
  }
}

/** One guard, one pipe, one interceptor and one filter, none of which does anything. */
export function Enhanced(): MethodDecorator {
  return applyDecorators(UseGuards(Guard), UsePipes(Pipe), UseInterceptors(Interceptor), UseFilters(Filter));
}
